"""Plots of a table and of the whole board as markup for a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sfda_kit.leaderboard.board import METRIC_NAMES, spell_track
from sfda_kit.leaderboard.site.names import label
from sfda_kit.leaderboard.site.run_page import curve, history_of
from sfda_kit.leaderboard.site.svg import DASHES, FAINT, MARKERS, PAPER, SERIES, TEXT, drawing, markup
from sfda_kit.leaderboard.site.wording import number, seconds

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import BoardRow, Overall, TaskTable
    from sfda_kit.results.collection import StoredRun

SIZE = (6.6, 3.9)
MAX_LINES = len(SERIES)
"""The most learning curves that a reader can distinguish in one plot."""
LONGEST = 1e9
"""The longest wall time in seconds that is plotted."""
MAX_POINTS = 40
"""The most points of a plot that get a name; more names would cover each other."""


TICKS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 86400, 5 * 86400)
"""The ticks of a time axis, in seconds."""
LETTER, LINE = 5.0, 11.5
"""Approximate width and height of a letter of a point's name, in typographic points."""
TICK_COUNT = 5


@dataclass(frozen=True)
class Plot:
    """A plot is ``svg`` with a title; ``header`` and ``rows`` are the same figures for readers who cannot see it."""

    svg: str
    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pareto(table: TaskTable) -> Plot | None:
    """Plot accuracy against wall time with the Pareto front of the ranked rows; return None where no row has both."""
    points = [(row.cost["wall_s"], row.metrics[table.metric].mean, row) for row in table.rows if _has_both(row, table)]
    if not points:
        return None
    front = _front([point for point in points if point[2].rank is not None])
    title = f"Accuracy and cost: {METRIC_NAMES[table.metric]} against wall time"
    with drawing():
        figure, axis = _blank()
        axis.plot([p[0] for p in front], [p[1] for p in front], color=SERIES[0], linewidth=1.2, drawstyle="steps-post")
        for wall, score, row in points:
            _point(axis, wall, score, row)
        axis.set(xlabel="median wall time of a run", ylabel=f"{METRIC_NAMES[table.metric]} (%)", xscale="log")
        _time_axis(axis, [p[0] for p in points])
        axis.margins(x=0.12, y=0.1)
        axis.autoscale_view()
        axis.autoscale(enable=False)
        _name_points(figure, axis, points, _steps(axis, front))
        svg = markup(figure, f"pareto-{table.id}", title)
    best = {id(point[2]) for point in front}
    rows = [
        (row.label, number(score), seconds(wall), "yes" if id(row) in best else "no")
        for wall, score, row in sorted(points, key=lambda p: -p[1])
    ]
    note = (
        "The line joins the rows that no other ranked row of any track beats on both. Hollow points do not rank. The "
        "time of a run includes training what was not in the cache (source model, bridge)."
    )
    return Plot(
        svg, title, note, ("method", f"{METRIC_NAMES[table.metric]} (%)", "wall time", "on the front"), tuple(rows)
    )


def _blank(right: float = 0.96) -> tuple[Figure, Any]:
    """Return empty axes up to ``right``. They are used again and again, because new axes take as long as a plot."""
    figure, axis = _axes(right)
    for artist in [*axis.lines, *axis.texts]:
        artist.remove()
    axis.relim()
    axis.autoscale()
    return figure, axis


@cache
def _axes(right: float) -> tuple[Figure, Any]:
    """Return a figure and its axes at a fixed place, because a computed layout draws everything two more times."""
    figure = Figure(figsize=SIZE)
    axis = figure.add_axes((0.1, 0.13, right - 0.1, 0.84))
    axis.yaxis.set_major_locator(MaxNLocator(TICK_COUNT))
    return figure, axis


def _has_both(row: BoardRow, table: TaskTable) -> bool:
    score, wall = row.metrics.get(table.metric), row.cost.get("wall_s", 0.0)
    return score is not None and 0.0 <= score.mean <= 100.0 and 0.0 < wall < LONGEST


def _front(points: Sequence[tuple[float, float, BoardRow]]) -> list[tuple[float, float, BoardRow]]:
    """Return the points that are better than every cheaper point, the cheapest first."""
    front: list[tuple[float, float, BoardRow]] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def _point(axis: Any, wall: float, score: float, row: BoardRow) -> None:
    ranks = row.rank is not None
    shape = {"oracle": "D", "source-only": "s"}.get(row.kind, "o")
    face = SERIES[0] if ranks else PAPER
    axis.plot([wall], [score], shape, markersize=7, color=face, markeredgecolor=SERIES[0 if ranks else 7])


def _time_axis(axis: Any, walls: Sequence[float]) -> None:
    """Set ticks that are readable as durations."""
    low, high = min(walls), max(walls)
    margin = 2.0 if high < 3 * low else 1.6
    low, high = low / margin, high * margin
    shown = [tick for tick in TICKS if low <= tick <= high]  # Each tick costs time, even one that is not visible.
    axis.set_xticks(shown, [seconds(tick).replace(".0", "") for tick in shown])
    axis.set_xticks([], minor=True)
    axis.set_xlim(low, high)


class Box(NamedTuple):
    """A box in pixels that a name keeps clear of; a line is a box without width or without height."""

    left: float
    right: float
    bottom: float
    top: float


def _name_points(
    figure: Figure, axis: Any, points: Sequence[tuple[float, float, BoardRow]], steps: Sequence[Box]
) -> None:
    """Write a name beside each point, and move it where it would touch another name, a point or one of ``steps``."""
    names = short_names([point[2] for point in points])
    right, unit = axis.get_window_extent().x1, figure.dpi / 72
    shown = sorted(points, key=lambda p: p[1])[-MAX_POINTS:]
    spots = [tuple(axis.transData.transform(point[:2])) for point in shown]
    taken = [*steps, *(Box(x - 4 * unit, x + 4 * unit, y - 4 * unit, y + 4 * unit) for x, y in spots)]
    for (x, y), (wall, score, row) in zip(spots, shown, strict=True):
        name = names[row.label]
        width, line = LETTER * unit * len(name), LINE * unit
        left = x + width + 10 * unit > right
        start = x - width - 7 * unit if left else x + 7 * unit
        height = _free(taken, start, start + width, y, line)
        taken.append(Box(start, start + width, height - line / 2, height + line / 2))
        place = {"ha": "right" if left else "left", "va": "center", "textcoords": "offset points"}
        offset = (-7.0 if left else 7.0, (height - y) / unit)
        behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}  # A line passes behind a name, not through it.
        axis.annotate(name, (wall, score), offset, fontsize=9, color=TEXT, bbox=behind, **place)
        if abs(height - y) > 1.5 * line:
            ends = axis.transData.inverted().transform(((x, y), (start + width if left else start, height)))
            axis.plot(*ends.T, color=SERIES[-1], linewidth=0.6, zorder=1)


def _steps(axis: Any, front: Sequence[tuple[float, float, BoardRow]]) -> list[Box]:
    """Return the horizontal and vertical parts of the line through ``front``, in pixels."""
    corners = [tuple(axis.transData.transform(point[:2])) for point in front]
    found = []
    for (x, y), (next_x, next_y) in pairwise(corners):
        found += [Box(x, next_x, y, y), Box(next_x, next_x, y, next_y)]
    return found


def _free(taken: Sequence[Box], start: float, end: float, height: float, line: float) -> float:
    """Return the middle nearest to ``height`` for a name of one ``line`` that touches nothing in ``taken``."""
    beside = [box for box in taken if box.left < end and start < box.right]
    tried = (height + step / 4 * line * side for step in count() for side in (1, -1))
    return next(at for at in tried if all(at + line / 2 <= box.bottom or box.top <= at - line / 2 for box in beside))


def short_names(rows: Sequence[BoardRow]) -> dict[str, str]:
    """Return a short name of each row by its label: the method alone where only one row has it."""
    methods = Counter(row.method for row in rows)
    return {row.label: label(row.method if methods[row.method] == 1 else _with_settings(row)) for row in rows}


def _with_settings(row: BoardRow) -> str:
    settings = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in row.settings.items())
    return f"{row.method} ({settings})" if settings else row.label


def learning_curves(table: TaskTable, runs: Mapping[str, StoredRun]) -> Plot | None:
    """Plot the metric by epoch as a mean over the counted seeds; return None where no row has a history with labels."""
    shown = [row for row in table.rows if not row.never_ranks]  # Bounds have labels and other epochs.
    shown.sort(
        key=lambda row: (row.rank is None, -row.metrics[table.metric].mean if table.metric in row.metrics else 0)
    )
    lines = [(row, values) for row in shown if len(values := mean_curve(row, table.metric, runs)) > 1]
    if not lines:
        return None
    title = f"Learning curves: {METRIC_NAMES[table.metric]} by epoch"
    known = (row.metrics.get(table.metric) for row in shown if row.kind == "source-only")
    source = next((value.mean for value in known if value), None)
    names = short_names([row for row, _ in lines])
    with drawing():
        figure, axis = _blank(right=0.7)
        for place, (_, values) in enumerate(lines[:MAX_LINES]):
            style: Any = {"color": SERIES[place], "marker": MARKERS[place], "markersize": 4}
            axis.plot(range(1, len(values) + 1), values, linestyle=DASHES[place % len(DASHES)], **style)
        if source is not None:
            axis.axhline(source, color=SERIES[7], linewidth=1, zorder=1)
        axis.set(xlabel="epoch of adaptation", ylabel=f"{METRIC_NAMES[table.metric]} (%)")
        axis.xaxis.set_major_locator(MaxNLocator(TICK_COUNT, integer=True))
        _name_lines(axis, [names[row.label] for row, _ in lines], [values for _, values in lines])
        svg = markup(figure, f"curves-{table.id}", title)
    left_out = len(lines) - MAX_LINES
    note = "Mean over the runs of a row; epochs of all phases are counted on."
    note += f" The grey line is source-only, {number(source)} %." if source is not None else ""
    note += f" Rows that are not drawn: {left_out}. They are in the table alone." if left_out > 0 else ""
    rows = [(row.label, str(len(curve)), *(number(curve[i]) for i in (0, len(curve) // 2, -1))) for row, curve in lines]
    return Plot(svg, title, note, ("method", "epochs", "first", "middle", "last"), tuple(rows))


def _name_lines(axis: Any, names: Sequence[str], lines: Sequence[Sequence[float]]) -> None:
    """Write a name right of the axes for each line, at the height of its end or as near as other names allow."""
    axis.autoscale_view()
    low, high = axis.get_ylim()
    step = LINE / 72 / SIZE[1] / 0.84 * (high - low)
    height = low - step
    end = axis.get_xlim()[1]
    order = sorted(range(min(len(lines), MAX_LINES)), key=lambda place: lines[place][-1])
    for place in order:
        height = max(lines[place][-1], height + step)
        axis.plot([len(lines[place]), end], [lines[place][-1], height], color=FAINT, linewidth=0.8, zorder=1)
        axis.annotate(
            names[place],
            (end, height),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=SERIES[place],
        )
    axis.set_xlim(right=end)
    axis.set_ylim(low, high)


def mean_curve(row: BoardRow, metric: str, runs: Mapping[str, StoredRun]) -> list[float]:
    """Return the mean of ``metric`` over the counted seeds by epoch, up to the last epoch that every seed has."""
    own = [runs[result.run_id] for result in row.results if result.counted and result.run_id in runs]
    curves = [curve(history_of(run), metric) for run in own if run.record.method == row.method]
    return [mean(values) for values in zip(*curves, strict=False)]


def critical_difference(overall: Overall) -> Plot | None:
    """Plot mean ranks, joined by a bar where Nemenyi's test finds no difference; return None without such a test."""
    tests = overall.rank_tests
    if tests is None:
        return None
    import pandas as pd
    import scikit_posthocs as posthocs

    names = list(tests.mean_ranks)
    keys = {name: f"#{place}" for place, name in enumerate(names)}  # Shortened names may be equal.
    ranks = pd.Series({keys[name]: rank for name, rank in tests.mean_ranks.items()})
    p_values = pd.DataFrame(1.0, index=list(ranks.index), columns=list(ranks.index))
    for (first, second), value in tests.nemenyi.items():
        p_values.loc[keys[first], keys[second]] = p_values.loc[keys[second], keys[first]] = value
    title = f"Critical difference diagram over {tests.blocks} tasks, track {spell_track(overall.track)}"
    with drawing():
        figure = Figure(figsize=(7.5, 1.2 + 0.24 * len(names)), layout="constrained")
        axis = figure.subplots()
        axis.grid(visible=False)
        posthocs.critical_difference_diagram(
            ranks,
            p_values,
            ax=axis,
            color_palette=dict.fromkeys(ranks.index, TEXT),
            crossbar_props={"color": SERIES[0], "linewidth": 3},
        )
        for text in axis.texts:
            text.set_text(re.sub(r"#(\d+)", lambda key: label(names[int(key[1])]), text.get_text()))
        svg = markup(figure, "-".join(["critical-difference", *overall.track]), title)
    note = (
        f"Mean rank over tasks, 1 is best. A bar joins methods that Nemenyi's test does not tell apart at 0.05; "
        f"critical difference {tests.critical_difference:.2f}, Friedman p {tests.p_value:.3g}."
    )
    rows = tuple((name, f"{rank:.2f}") for name, rank in tests.mean_ranks.items())
    return Plot(svg, title, note, ("method", "mean rank"), rows)
