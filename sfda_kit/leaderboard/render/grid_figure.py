"""The effects of an ablation as a picture, with a point and an interval for every level."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.effects import Ablation, Block, Effect
from sfda_kit.leaderboard.render.words import plain
from sfda_kit.results.figures import save_figure

ROW = 0.28
"""Height of one line in inches."""

COLUMNS = 3
LETTERS = 46
"""What one line of a panel's title holds."""


def draw_effects(found: Ablation, path: Path) -> bool:
    """Write the picture and return True; remove the file and return False where there is no effect to draw.
    Each task and network has one panel. Filled points differ from the first level after correction."""
    blocks = [block for block in found.blocks if block.effects]
    if not blocks:
        path.unlink(missing_ok=True)
        return False
    columns = min(COLUMNS, len(blocks))
    lines = -(-len(blocks) // columns)
    height = 1.1 + ROW * max(len(block.effects) for block in blocks)
    figure = Figure(figsize=(5.2 * columns, height * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axis, block in zip(axes, blocks, strict=False):
        _panel(axis, block, METRICS[found.metric])
    for axis in axes[len(blocks) :]:
        axis.set_visible(False)
    save_figure(figure, path)
    return True


def _panel(axis: Any, block: Block, metric: str) -> None:
    colours: dict[str, str] = {}
    for place, effect in enumerate(block.effects):
        colour = colours.setdefault(effect.factor, f"C{len(colours) % 10}")
        seen = effect.comparison
        axis.plot([seen.low, seen.high], [place, place], color=colour, linewidth=1.5)
        face = colour if seen.different else "white"
        axis.plot(seen.difference, place, "o", color=colour, markerfacecolor=face, markersize=6)
    axis.axvline(0, color="0.6", linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(block.effects)), [_label(effect) for effect in block.effects])
    axis.set_ylim(len(block.effects) - 0.5, -0.5)
    axis.tick_params(labelbottom=True)  # With a shared axis only the last line of panels would have numbers.
    synthetic = " (synthetic)" if block.synthetic else ""
    axis.set_title(textwrap.fill(plain(block.title) + synthetic, LETTERS), fontsize=10, parse_math=False)
    axis.set_xlabel(f"points, {metric}")


def _label(effect: Effect) -> str:
    """Return the label of an effect with escaped dollar signs, which would begin mathematics."""
    return plain(f"{effect.factor}: {effect.level} - {effect.baseline}").replace("$", r"\$")
