"""Draws the picture of the page ``setting.md``: ``python docs/_site/setting_figure.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sfda_kit.rooms.render import render
from sfda_kit.rooms.scene import sample_scene
from sfda_kit.rooms.sensors import SENSORS

OUT = Path(__file__).parents[1] / "images" / "setting.png"
FARTHEST = 6000
CELLS = {  # left, bottom, modality, classes, first seed, text
    "source": (0.03, 0.57, "rgb", ("chair", "mug", "cone"), 3, "labelled; trained the source model, now gone"),
    "target": (0.55, 0.57, "depth", ("stairs", "torus", "arch"), 11, "no labels; the model must work here"),
    "rgb": (0.03, 0.05, "rgb", ("pyramid", "stool", "shelf"), 21, "no labels; one half of each pair"),
    "depth": (0.55, 0.05, "depth", ("pyramid", "stool", "shelf"), 21, "no labels; the other half, same scenes"),
}
WIDTH, HEIGHT = 0.42, 0.33
ARROW = {"arrowstyle": "<->", "mutation_scale": 22, "linewidth": 2.5, "color": "#b3261e"}


def draw() -> Figure:
    """Return the four groups of images, and the two gaps between them."""
    figure = Figure(figsize=(9.2, 5.0), facecolor="white")
    for left, bottom, modality, classes, seed, text in CELLS.values():
        figure.add_artist(
            FancyBboxPatch(
                (left, bottom), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.015", transform=figure.transFigure,
                facecolor="#f3f4fa", edgecolor="#5c6bc0", zorder=-1,
            )
        )  # fmt: skip
        figure.text(left + WIDTH / 2, bottom + 0.03, text, ha="center", fontsize=10)
        for number, name in enumerate(classes):
            axis = figure.add_axes((left + 0.012 + number * 0.134, bottom + 0.085, 0.128, 0.19))
            axis.imshow(
                picture(name, modality, seed + number),
                cmap="gray",
                vmin=0,
                vmax=FARTHEST if modality == "depth" else 255,
            )
            axis.set_title(name, fontsize=9, pad=2)
            axis.set_axis_off()
    figure.text(0.24, 0.935, "source sensor (RGB)", ha="center", fontsize=13, weight="bold")
    figure.text(0.76, 0.935, "target sensor (depth)", ha="center", fontsize=13, weight="bold")
    figure.text(0.012, 0.735, "task-relevant (TR)", rotation=90, va="center", ha="center", fontsize=11, weight="bold")
    figure.text(0.012, 0.215, "task-irrelevant (TI)", rotation=90, va="center", ha="center", fontsize=11, weight="bold")
    for start, end, text, place in (
        ((0.45, 0.17), (0.55, 0.17), "inter-\nmodality\ngap", (0.5, 0.27)),
        ((0.76, 0.57), (0.76, 0.38), "intra-modality gap", (0.86, 0.475)),
    ):
        figure.add_artist(FancyArrowPatch(start, end, transform=figure.transFigure, **ARROW))
        figure.text(*place, text, ha="center", va="center", fontsize=11, color=ARROW["color"], weight="bold")
    return figure


def picture(name: str, modality: str, seed: int) -> Any:
    """Return one scene of a class as a sensor of ``rooms`` sees it."""
    scene = sample_scene(np.random.default_rng([1, seed]), name, clutter=0.3)
    return render(scene, SENSORS["kv1"], modality, np.random.default_rng([2, seed]))


if __name__ == "__main__":
    draw().savefig(OUT, dpi=110)
