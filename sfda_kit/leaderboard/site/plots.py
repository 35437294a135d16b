"""Plots of one table and of the whole board, as markup for a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.site.names import label
from sfda_kit.leaderboard.site.run_page import curve, history_of
from sfda_kit.leaderboard.site.svg import DASHES, MARKERS, PAPER, SERIES, TEXT, drawing, markup
from sfda_kit.leaderboard.site.wording import number, seconds

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import Overall, Row, TaskTable
    from sfda_kit.results.collection import StoredRun

SIZE = (6.6, 3.9)
MAX_LINES = len(SERIES)
"""Learning curves that one plot can show apart."""
MAX_POINTS = 40
"""Points of a plot that get a name beside them; more would cover each other."""


TICKS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 86400, 5 * 86400)
"""Seconds that a time axis may mark."""
LETTER, LINE = 6.0, 13.0
"""About the width and the height of a letter beside a point, in pixels."""


@dataclass(frozen=True)
class Plot:
    """``svg`` with its title inside, and the same figures as a table for those who cannot see it."""

    svg: str
    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pareto(table: TaskTable) -> Plot | None:
    """Accuracy against wall time; None where no row has both. The front is that of the ranked rows."""
    points = [(row.cost["wall_s"], row.metrics[table.metric].mean, row) for row in table.rows if _has_both(row, table)]
    if not points:
        return None
    front = _front([point for point in points if point[2].rank is not None])
    title = f"Accuracy and cost: {METRICS[table.metric]} against wall time"
    with drawing():
        figure = Figure(figsize=SIZE, layout="constrained")
        axis = figure.subplots()
        axis.plot([p[0] for p in front], [p[1] for p in front], color=SERIES[0], linewidth=1.2, drawstyle="steps-post")
        for wall, score, row in points:
            _point(axis, wall, score, row)
        axis.set(xlabel="median wall time of a run", ylabel=f"{METRICS[table.metric]} (%)", xscale="log")
        _time_axis(axis, [p[0] for p in points])
        axis.margins(x=0.12, y=0.1)
        _name_points(figure, axis, points)
        svg = markup(figure, f"pareto-{table.id}", title)
    best = {id(point[2]) for point in front}
    rows = [
        (row.label, number(score), seconds(wall), "yes" if id(row) in best else "no")
        for wall, score, row in sorted(points, key=lambda p: -p[1])
    ]
    note = "The line joins the rows that no other ranked row beats on both. Hollow points do not rank."
    return Plot(svg, title, note, ("method", f"{METRICS[table.metric]} (%)", "wall time", "on the front"), tuple(rows))


def _has_both(row: Row, table: TaskTable) -> bool:
    return table.metric in row.metrics and row.cost.get("wall_s", 0.0) > 0.0


def _front(points: Sequence[tuple[float, float, Row]]) -> list[tuple[float, float, Row]]:
    """Points that are better than every cheaper one, cheapest first."""
    front: list[tuple[float, float, Row]] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def _point(axis: Any, wall: float, score: float, row: Row) -> None:
    ranks = row.rank is not None
    shape = {"oracle": "D", "source-only": "s"}.get(row.kind, "o")
    face = SERIES[0] if ranks else PAPER
    axis.plot([wall], [score], shape, markersize=7, color=face, markeredgecolor=SERIES[0 if ranks else 7])


def _time_axis(axis: Any, walls: Sequence[float]) -> None:
    """Ticks that people read as durations."""
    low, high = min(walls), max(walls)
    axis.set_xticks(TICKS)
    axis.minorticks_off()
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
    margin = 2.0 if high < 3 * low else 1.6
    axis.set_xlim(low / margin, high * margin)


def _name_points(figure: Figure, axis: Any, points: Sequence[tuple[float, float, Row]]) -> None:
    """A name beside each point, moved up where it would touch one below."""
    figure.draw_without_rendering()
    names = short_names([point[2] for point in points])
    right = axis.get_window_extent().x1
    placed: list[tuple[float, float, float]] = []
    for wall, score, row in sorted(points, key=lambda p: p[1])[-MAX_POINTS:]:
        name = names[row.label]
        x, y = axis.transData.transform((wall, score))
        width, height = LETTER * len(name), y
        left = x + width + 10 > right
        start = x - width - 10 if left else x + 10
        while any(start < end and begin < start + width and abs(height - at) < LINE for begin, end, at in placed):
            height += 1
        placed.append((start, start + width, height))
        offset = (-7.0 if left else 7.0, (height - y) * 72 / figure.dpi)
        place = {"ha": "right" if left else "left", "va": "center", "textcoords": "offset points"}
        axis.annotate(name, (wall, score), offset, fontsize=9, color=TEXT, **place)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """What to write beside a row by its label: its method alone where that says enough."""
    methods = Counter(row.method for row in rows)
    return {row.label: label(row.method if methods[row.method] == 1 else _with_settings(row)) for row in rows}


def _with_settings(row: Row) -> str:
    settings = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in row.settings.items())
    return f"{row.method} ({settings})" if settings else row.label


def learning_curves(table: TaskTable, runs: Mapping[str, StoredRun]) -> Plot | None:
    """Metric by epoch, mean over the counted seeds; None where no row has a history with labels."""
    lines = [(row, curve) for row in table.rows if len(curve := mean_curve(row, table.metric, runs)) > 1]
    if not lines:
        return None
    title = f"Learning curves: {METRICS[table.metric]} by epoch"
    names = short_names([row for row, _ in lines])
    with drawing():
        figure = Figure(figsize=SIZE, layout="constrained")
        axis = figure.subplots()
        for number_, (row, curve) in enumerate(lines[:MAX_LINES]):
            style = {"color": SERIES[number_], "marker": MARKERS[number_], "linestyle": DASHES[number_ % len(DASHES)]}
            axis.plot(range(1, len(curve) + 1), curve, markersize=4, label=names[row.label], **style)
        axis.set(xlabel="epoch of adaptation", ylabel=f"{METRICS[table.metric]} (%)")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside right upper", labelcolor=TEXT)
        svg = markup(figure, f"curves-{table.id}", title)
    left_out = len(lines) - MAX_LINES
    note = "Mean over the seeds of a row; epochs of all phases are counted on. The last epoch is the one that scores."
    note += f" The {left_out} lowest rows are in the table alone." if left_out > 0 else ""
    rows = [(row.label, str(len(curve)), *(number(curve[i]) for i in (0, len(curve) // 2, -1))) for row, curve in lines]
    return Plot(svg, title, note, ("method", "epochs", "first", "middle", "last"), tuple(rows))


def mean_curve(row: Row, metric: str, runs: Mapping[str, StoredRun]) -> list[float]:
    """Mean over the counted seeds of ``metric`` by epoch, as far as every seed goes."""
    curves = [curve(history_of(runs[r.run_id]), metric) for r in row.results if r.counted and r.run_id in runs]
    return [mean(values) for values in zip(*curves, strict=False)]


def critical_difference(overall: Overall) -> Plot | None:
    """Mean ranks, joined by a bar where Nemenyi's test sees no difference; None without such a test."""
    tests = overall.rank_tests
    if tests is None:
        return None
    import pandas as pd
    import scikit_posthocs as posthocs

    names = list(tests.mean_ranks)
    keys = {name: f"#{place}" for place, name in enumerate(names)}  # shortened names may be the same
    ranks = pd.Series({keys[name]: rank for name, rank in tests.mean_ranks.items()})
    p_values = pd.DataFrame(1.0, index=list(ranks.index), columns=list(ranks.index))
    for (first, second), value in tests.nemenyi.items():
        p_values.loc[keys[first], keys[second]] = p_values.loc[keys[second], keys[first]] = value
    title = f"Critical difference diagram over {tests.blocks} tasks"
    with drawing():
        figure = Figure(figsize=(7.5, 1.2 + 0.24 * len(names)), layout="constrained")
        axis = figure.subplots()
        posthocs.critical_difference_diagram(
            ranks,
            p_values,
            ax=axis,
            color_palette=dict.fromkeys(ranks.index, TEXT),
            label_props={"color": TEXT},
            crossbar_props={"color": SERIES[0], "linewidth": 3},
        )
        for text in axis.texts:
            text.set_text(re.sub(r"#(\d+)", lambda key: label(names[int(key[1])]), text.get_text()))
        svg = markup(figure, "critical-difference", title)
    note = (
        f"Mean rank over tasks, 1 is best. A bar joins methods that Nemenyi's test does not tell apart at 0.05; "
        f"critical difference {tests.critical_difference:.2f}, Friedman p {tests.p_value:.3g}."
    )
    rows = tuple((name, f"{rank:.2f}") for name, rank in tests.mean_ranks.items())
    return Plot(svg, title, note, ("method", "mean rank"), rows)
