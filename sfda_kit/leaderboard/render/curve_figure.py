"""The curves of a stress as a picture: one small panel for each factor, accuracy against severity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.curves import Curve, CurveSection, Panel
from sfda_kit.leaderboard.entries import SOURCE_ONLY
from sfda_kit.leaderboard.render.words import plain
from sfda_kit.results import figures

COLUMNS = 4
_MARKS = "osDv^P*X"
"""Each method has a mark beside its colour, so that curves can be told apart without colours."""


def draw_curves(section: CurveSection, metric: str, path: Path) -> bool:
    """Write the picture and return True; return False and remove the file where no run has a result.

    A point is a mean over seeds and folds, and its bar one standard deviation each way. All panels have one scale.
    """
    if not any(one.score for panel in section.panels for curve in panel.curves for one in curve.points):
        path.unlink(missing_ok=True)
        path.with_suffix(".pdf").unlink(missing_ok=True)
        return False
    columns = min(COLUMNS, len(section.panels))
    lines = -(-len(section.panels) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.3 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    widest = sorted(section.panels, key=lambda panel: -len(panel.curves))  # its order is that of the suite
    methods = list(dict.fromkeys(curve.method for panel in widest for curve in panel.curves))
    for axis, panel in zip(axes.flat, section.panels, strict=False):
        _panel(axis, panel, methods)
    for axis in axes.flat[len(section.panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{METRICS[metric]} (%)")
    _legend(figure, axes.flat[: len(section.panels)], methods)
    synthetic = " (synthetic)" if section.synthetic else ""
    figure.suptitle(_text(section.title) + synthetic, fontsize=9)
    figures.save_figure(figure, path)
    return True


def _panel(axis: Any, panel: Panel, methods: list[str]) -> None:
    for curve in panel.curves:
        _curve(axis, curve, methods.index(curve.method), (methods.index(curve.method) - (len(methods) - 1) / 2) * 0.05)
    axis.set_xticks(range(len(panel.levels)), [_text(level) for level in panel.levels])
    axis.tick_params(labelleft=True)
    axis.set_xlim(-0.4, len(panel.levels) - 0.6)
    axis.set_title(_text(panel.factor), fontsize=9)


def _curve(axis: Any, curve: Curve, number: int, aside: float) -> None:
    """Draw one curve, a little aside of its level so that bars do not hide each other."""
    there = [(place, one.score) for place, one in enumerate(curve.points) if one.score]
    is_reference = curve.method == SOURCE_ONLY
    axis.errorbar(
        [place + aside for place, _ in there],
        [score.mean for _, score in there],
        yerr=[score.std or 0.0 for _, score in there],
        label=_text(curve.method),
        color="0.45" if is_reference else f"C{number % 10}",
        linestyle="--" if is_reference else "-",
        marker=_MARKS[number % len(_MARKS)],
        markersize=3.5,
        linewidth=1.2,
        elinewidth=0.8,
    )


def _legend(figure: Figure, axes: Any, methods: list[str]) -> None:
    """Put one legend for all panels under them, in the order of ``methods``."""
    named: dict[str, Any] = {}
    for axis in axes:
        named |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    shown = [label for label in map(_text, methods) if label in named]
    handles = [named[label] for label in shown]
    figure.legend(handles, shown, loc="outside lower center", ncols=min(8, len(shown)), frameon=False)


def _text(name: str) -> str:
    """Return a name with escaped dollar signs, which would begin mathematics."""
    return plain(name).replace("$", r"\$")
