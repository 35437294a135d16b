"""Cells and sentences that all renderers share, as plain text; names are cleaned of characters they should not hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from sfda_kit.leaderboard.board import (
    ACCURACIES,
    MARKS,
    METRIC_NAMES,
    Board,
    BoardRow,
    Comparison,
    Mark,
    Overall,
    Spread,
    TaskTable,
    spell_track,
)
from sfda_kit.leaderboard.label_worth import EXPLAINED
from sfda_kit.leaderboard.shuffled import VERSUS, against
from sfda_kit.leaderboard.tracks import explained

LONGEST = 160

DOUBT = (
    "Where a p stands behind an interval, it is corrected for that number and shows no difference, although the "
    "interval leaves out 0."
)

MOST_NAMED = 6
"""The largest number of tables that a sentence lists by name."""


class TableColumn(NamedTuple):
    """A column has a head, and a function that returns the cell of a row."""

    head: str
    cell: Callable[[BoardRow], str]


def plain(text: str) -> str:
    """Return ``text`` as one line of at most ``LONGEST`` characters, without control or invisible characters."""
    line = " ".join(text.split())
    shown = "".join(character for character in line if unicodedata.category(character)[0] != "C")
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def title(table: TaskTable) -> str:
    """Return task and network as a title, which also tells when images are synthetic."""
    return plain(table.title) + (" (synthetic images)" if table.task.synthetic else "")


def letters(row: BoardRow) -> str:
    """Return the letters of a row's marks in alphabetical order."""
    return "".join(sorted(mark.letter for mark in row.marks))


def spread(value: Spread | None) -> str:
    """Return text such as ``91.8 ± 1.3``, without the spread for one seed, and empty where there is no value."""
    if value is None:
        return ""
    return f"{value.mean:.1f}" if value.std is None else f"{value.mean:.1f} ± {value.std:.1f}"


def interval(found: Comparison | None) -> str:
    """Return text such as ``-3.3 [-6.9, 0.7]``, empty where nothing was compared.

    A bound just below 0 keeps its sign. The corrected p-value follows where it contradicts the interval.
    """
    if found is None:
        return ""
    doubt = f" (p {found.adjusted:.2f})" if found.only_uncorrected else ""
    return f"{signed(found.difference)} [{found.low:.1f}, {found.high:.1f}]{doubt}"


def signed(value: float) -> str:
    """Return ``value`` with one decimal and no minus before a zero."""
    return f"{value:.1f}".replace("-0.0", "0.0") if abs(value) < 0.05 else f"{value:.1f}"


def score(row: BoardRow, metric: str) -> str:
    """Return the metric as text; for a row without any result, return how its runs ended."""
    if metric in row.metrics or row.seeds:
        return spread(row.metrics.get(metric))
    return ", ".join(sorted({result.status.replace("_", " ") for result in row.failures}))


def columns(metric: str) -> list[TableColumn]:
    """Return all columns after rank and label, the most important ones first."""
    part = metric.partition("_")[0]
    others = [name for name in ACCURACIES if name != metric]
    beside = [name for name in others if name.startswith(part)]
    area = f"{part}_auroc"
    return [
        TableColumn("track", lambda row: row.track_text),
        TableColumn(METRIC_NAMES[metric], lambda row: score(row, metric)),
        *(TableColumn(METRIC_NAMES[name], partial(_spread_of, name)) for name in beside),
        *([TableColumn("AUROC", partial(_spread_of, area))] if area != metric else []),
        TableColumn("minus best", lambda row: interval(row.versus_best)),
        TableColumn("folds", lambda row: str(len(row.folds)) if row.folds else ""),
        TableColumn("seeds", lambda row: str(len(row.seeds))),
        TableColumn("configurations", lambda row: str(row.configurations or "")),
        TableColumn("minus source", lambda row: interval(row.versus_source)),
        *(TableColumn(head, partial(_minus_control, head)) for head in VERSUS),
        *(TableColumn(METRIC_NAMES[name], partial(_spread_of, name)) for name in others if name not in beside),
        TableColumn("gap closed", lambda row: "" if row.gap_closed is None else f"{row.gap_closed:.0f} %"),
        TableColumn("labels a class", lambda row: row.worth_labels),
        TableColumn("calibration error", partial(_spread_of, f"{part}_calibration_error")),
        TableColumn("pretraining", lambda row: plain(row.pretraining)),
        TableColumn("s", lambda row: _number(row.cost.get("wall_s"))),
        TableColumn("MiB", lambda row: _number(row.cost.get("peak_memory_mb"))),
        TableColumn("trained", lambda row: _number(row.cost.get("trained_parameters"))),
    ]


def _minus_control(head: str, row: BoardRow) -> str:
    return interval(against(row, head))


def _spread_of(name: str, row: BoardRow) -> str:
    return spread(row.metrics.get(name))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def filled(table: TaskTable) -> list[TableColumn]:
    """Return the columns in which this table has any value."""
    return [column for column in columns(table.metric) if any(column.cell(row) for row in table.rows)]


def notes(table: TaskTable) -> Iterator[str]:
    """Yield the sentences under a table: its marks, failures, notices and provenance."""
    yield from (f"Caveat: {plain(said)}" for said in table.task.caveats)
    yield from row_notes(table.rows)
    yield from map(plain, table.notices)
    if any(row.worth_labels for row in table.rows):
        yield EXPLAINED
    yield provenance(table)


def row_notes(rows: Sequence[BoardRow]) -> Iterator[str]:
    """Yield sentences that explain the marks of ``rows`` and tell why runs did not end well."""
    for kind, (letter, sentence) in MARKS.items():
        found = [(row, mark) for row in rows for mark in row.marks if mark.kind == kind]
        if found and kind != "failed":
            yield f"{letter}: {sentence}{_where(found)}."
    for row in rows:
        for result in row.failures:
            status = result.status.replace("_", " ")
            fold = "" if result.fold is None else f"fold {result.fold}, "
            where = f"{plain(row.label)}, {fold}seed {result.seed}"
            yield f"{MARKS['failed'][0]}: {where}, {status}: {plain(result.reason)}"


def _where(found: Sequence[tuple[BoardRow, Mark]]) -> str:
    """Return the rows that have a mark, if the mark has a detail."""
    told = [f"{plain(row.label)}, {plain(mark.detail)}" for row, mark in found if mark.detail]
    return f" [{'; '.join(told)}]" if told else ""


def provenance(table: TaskTable) -> str:
    """Return a sentence with everything that is needed to get the same numbers."""
    facts = []
    if table.folds:
        facts.append(f"folds {', '.join(map(str, table.folds))}")
    if table.seeds:
        facts.append(f"seeds {', '.join(map(str, table.seeds))}")
    if table.source_accuracy:
        facts.append(f"source model {spread(table.source_accuracy)} % on held-out source images")
    if table.groups:
        facts.append(f"{table.groups} groups of images")
    facts.append(table.task.split)
    if table.task.fingerprint:
        facts.append(f"data {plain(table.task.fingerprint)}")
    weights = [plain(value)[:8] for value in table.source_weights.values() if value]
    if weights:
        facts.append(f"source weights {', '.join(weights)}")
    facts += [f"{name} {plain(version)}" for name, version in table.versions.items()]
    sentence = f"{'; '.join(facts)}."
    return sentence[:1].upper() + sentence[1:]


def explanation(board: Board) -> list[str]:
    """Return the sentences, once for a board, that explain how to read the tables."""
    with_folds = [table for table in board.tables if table.folds]
    said = _over_seeds(board) if len(with_folds) < len(board.tables) or not board.tables else []
    if with_folds:
        said += _over_folds(board, alone=not said)
    said.append(explained(row for table in board.tables for row in table.rows))
    if any(table.task.options.get("protocol") == "paper" for table in board.tables):
        said.append(
            "Tables with protocol=paper are transductive: a method adapts to all target images, and is scored on them "
            "at the last epoch. Within one domain they are the other halves of the source images. Nothing is held out, "
            "so these tables are ranked by the transductive metric. Compare them with published tables alone. Every "
            "row is a re-implementation that was run with this toolkit; none is a published number."
        )
    return said


def _over_folds(board: Board, alone: bool) -> list[str]:
    """Return the sentences on tables with folds; ``alone``: the board has no other tables."""
    ranked = f"ranked by {METRIC_NAMES[board.metric]}"
    costs = " Costs are medians of one run; its time includes training what was not in the cache." if alone else ""
    return [
        f"{'Percent' if alone else 'Tables with folds'}: mean ± sample standard deviation over all runs; {ranked}. "
        "Rank: 1 + number of rows of the track significantly better (corrected for its comparisons, Holm 1979).",
        "Intervals over folds: 95 %, paired by fold, corrected for the overlap of the folds' training groups (Nadeau "
        f"and Bengio 2003), and not for the number of comparisons. {DOUBT}{costs}",
    ]


def _over_seeds(board: Board) -> list[str]:
    return [
        f"Percent, mean ± sample standard deviation over seeds; ranked by {METRIC_NAMES[board.metric]}. "
        "Rank: 1 + number of rows of the track significantly better (false discovery rate of 5 % over the comparisons "
        "of a track); = marks a tie.",
        "Intervals: 95 %, paired by seed and image, for other seeds and other groups of images; not corrected for "
        f"the number of comparisons. {DOUBT} Costs are medians of one run; its time includes training what was not in "
        "the cache (source model, bridge).",
    ]


def overall_title(board: Board, found: Overall) -> str:
    """Return the title of a comparison over tables; it names the track where there are several."""
    track = f", track {spell_track(found.track)}" if len(board.overall) > 1 else ""
    return f"Over {len(found.blocks)} tables{track}"


def no_overall(board: Board) -> list[str]:
    """Return a sentence that says why nothing is said over several tables."""
    return [board.overall_note] if len(board.tables) > 1 and not board.overall else []


def overall_notes(board: Board, found: Overall) -> list[str]:
    """Return the sentences under a comparison over several tables."""
    covered = [table for table in board.tables if table.id in found.blocks]
    shown = "; ".join(title(table) for table in covered[:MOST_NAMED])
    more = f"; and {len(covered) - MOST_NAMED} more" if len(covered) > MOST_NAMED else ""
    said = [f"The tables in which all of these rank: {shown}{more}."]
    tests = found.rank_tests
    if tests is not None:
        said.append(
            f"Friedman's test over {tests.blocks} tables: chi2 = {tests.statistic:.2f}, p = {tests.p_value:.2g}; "
            f"critical difference of mean ranks (Nemenyi, 5 %): {tests.critical_difference:.2f}."
        )
    return [*said, *([found.note] if found.note else [])]
