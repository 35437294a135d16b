"""Tables and single figures of the suites of real pictures, from their boards (``board.csv``)."""

from __future__ import annotations

from typing import Any

from committed import RESULTS, read_csv, suite_and_network
from tables import table

from sfda_kit.builtin.caveats import PAIRED_FOLDER
from sfda_kit.leaderboard.statistics import LEVEL

PLAIN, PER_CLASS, AUROC = "heldout_accuracy", "heldout_mean_class_accuracy", "heldout_auroc"
BALANCED_ORACLE = "oracle (recipe.options.balanced=true, recipe.options.views=adapt)"
ROW_NAMES = {
    BALANCED_ORACLE: "oracle, balanced",
    "oracle-plus": "oracle-plus, balanced",
    "imagenet-head": "imagenet-head on depth",
    "imagenet-head (recipe.options.sensor=source)": "imagenet-head on RGB",
    **{f"probe (recipe.options.labels={n})": f"probe with {n} label{'s' * (n > 1)} a class" for n in (1, 5, 20)},
}
"""How pages call rows that the board calls by their settings."""
SETS = {"nyu-objects": "depth crops", "nir-scenes": "near-infrared scenes"}
BOUNDS = ("rgb-ceiling", "oracle", BALANCED_ORACLE, "source-only", "majority", "socket, shuffled pairs")


def real_results_table(suite: str) -> str:
    """Return the board of ``SUITE`` or ``SUITE/NETWORK`` by the mean over classes.

    Ranked rows stand first, by track.
    """
    sides = {"minus source-only": "minus_source", "minus shuffled pairs": "minus_shuffled"}
    sides |= {"minus shuffled within class": "minus_shuffled_within_class"}
    rows = [
        [
            _shown(row),
            row["track"],
            *(mean_of(row, column) for column in (PER_CLASS, PLAIN, AUROC)),
            *(_difference(row, side) for side in sides.values()),
        ]
        for row in _board(suite)
    ]
    return table(["method", "track", "mean over classes", "plain", "AUROC", *sides], rows, left=2)


def real_sets_table(*suites: str) -> str:
    """Return the mean over classes on several sets, with the difference to the source model.

    Ranked rows stand by track, those of the first set first. Of the others there are the bounds that all sets have.
    """
    boards = [{row["method"]: row for row in _board(suite)} for suite in suites]
    first = {name: row for board in reversed(boards) for name, row in board.items()}
    bounds = {name for name in BOUNDS if all(name in board for board in boards)}
    kept = [name for name, row in first.items() if row["rank"] != "" or name in bounds]
    kept.sort(key=lambda name: (name in bounds, _track(first[name]), name not in boards[0], _mean(first[name])))
    rows = []
    for name in kept:
        told = {SETS[suite]: board[name]["track"] for suite, board in zip(suites, boards, strict=True) if name in board}
        differ = len(set(told.values())) > 1
        tracks = dict.fromkeys(f"{track} ({where})" if differ else track for where, track in told.items())
        cells = [cell for board in boards for cell in _mean_and_gain(board.get(name))]
        rows.append([_shown(first[name]), "; ".join(tracks), *cells])
    heads = [head for suite in suites for head in (SETS[suite], "minus source-only")]
    return table(["method", "track", *heads], rows, left=2)


def _board(suite: str) -> list[dict[str, Any]]:
    """Return the rows of a board with a score: ranked ones by track and mean over classes, then the others."""
    suite, network = suite_and_network(suite)
    rows = read_csv(RESULTS / suite / "board.csv")
    board = [row for row in rows if row[f"{PER_CLASS}_mean"] != "" and row["network"].startswith(network)]
    return sorted(board, key=lambda row: (row["rank"] == "", _track(row), _mean(row)))


def _track(row: dict[str, Any]) -> tuple[int, str]:
    """Return a sort key: tracks that use less come first, as on a board; rows that never rank have none."""
    track = "" if row["track"] == "none" or row["rank"] == "" else row["track"]
    return len(track), track


def _mean(row: dict[str, Any]) -> float:
    """Return a sort key: higher means come first."""
    return -float(row[f"{PER_CLASS}_mean"])


def _shown(row: dict[str, Any]) -> str:
    return f"`{row['method']}`" if row["rank"] != "" else f"*{ROW_NAMES.get(row['method'], row['method'])}*"


def _mean_and_gain(row: dict[str, Any] | None) -> tuple[str, str]:
    return ("", "") if row is None else (mean_of(row, PER_CLASS), _difference(row, "minus_source"))


def caveats(*folds: str) -> str:
    """Return what must be said beside the numbers of folds of ``paired-folder``, as their declaration has it."""
    return " ".join(said for name in folds for said in PAIRED_FOLDER[name])


def board_mean(suite: str, method: str, column: str = PER_CLASS) -> str:
    """Return mean ± standard deviation over folds of one row of a board of real pictures."""
    return mean_of(_row(suite, method), column)


def board_gap(suite: str, method: str) -> str:
    """Return how far one row has come from the source model to the oracle, in percent."""
    return f"{_row(suite, method)['gap_closed']:.0f}"


def board_difference(suite: str, method: str, side: str) -> str:
    """Return a difference of one row, ``minus_source`` or ``minus_shuffled``, with its 95 % interval in points."""
    return _difference(_row(suite, method), side)


def mean_of(row: dict[str, Any], column: str) -> str:
    """Return mean ± standard deviation of a row of a table."""
    return f"{row[f'{column}_mean']:.1f} ± {row[f'{column}_std']:.1f}"


def _row(suite: str, method: str) -> dict[str, Any]:
    return next(row for row in _board(suite) if row["method"] == method)


def _difference(row: dict[str, Any], side: str) -> str:
    """Return a difference with its 95 % interval in points, and the corrected p where it contradicts the interval."""
    if row.get(f"{side}_difference", "") == "":
        return ""
    difference, low, high, adjusted = (row[f"{side}_{part}"] for part in ("difference", "low", "high", "adjusted"))
    doubt = f" (p {adjusted:.2f})" if adjusted >= LEVEL and not low <= 0 <= high else ""
    return f"{difference:.1f} [{low:.1f}, {high:.1f}]{doubt}"


def settings_table(method: str) -> str:
    """Return what a method reaches with each of the settings that the suites of real pictures give it."""
    columns = {"mean over classes": PER_CLASS, "plain": PLAIN, "AUROC": AUROC}
    rows = [
        [title, ROW_NAMES.get(row["method"], row["method"]), *(mean_of(row, column) for column in columns.values())]
        for suite, title in SETS.items()
        for row in _board(suite)
        if row["method"].partition(" (")[0] == method
    ]
    if not rows:
        return ""
    head = "Real pictures, ImageNet weights, held out, four folds:\n\n"
    return head + table(["set", "row", *columns], rows, left=2)
