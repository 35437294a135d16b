"""Draws the picture sheets of the data card: ``python -m sfda_kit.data.rooms.sheet OUT_DIR``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfda_kit.data.rooms.layout import DOMAINS, MODALITY_CODES
from sfda_kit.data.rooms.render import render
from sfda_kit.data.rooms.scene import sample_scene
from sfda_kit.data.rooms.sensors import SENSORS
from sfda_kit.data.rooms.shapes import CLASSES, TI_SHAPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FARTHEST = 6000
"""Millimetres shown as the far end of the depth colours."""


def class_sheet(path: Path) -> None:
    """One triple of RGB, depth and NIR a class, three classes a row."""
    figure, axes = _grid(rows=6, columns=9, width=9.0, height=4.9)
    for number, name in enumerate(CLASSES):
        row, first = number // 3, 3 * (number % 3)
        for column, modality in enumerate(MODALITY_CODES):
            _show(axes[row, first + column], name, "kv1", modality, seed=number)
        irrelevant = " (TI)" if name in TI_SHAPES else ""
        axes[row, first + 1].set_title(name + irrelevant, fontsize=7, pad=2)
    _save(figure, path)


def sensor_sheet(path: Path) -> None:
    """The same scenes by the four sensors: rows are modalities of two scenes, columns are sensors."""
    figure, axes = _grid(rows=6, columns=4, width=5.4, height=6.2)
    for column, domain in enumerate(DOMAINS):
        axes[0, column].set_title(domain, fontsize=8, pad=3)
        for row in range(6):
            name = ("chair", "mug")[row // 3]
            _show(axes[row, column], name, domain, tuple(MODALITY_CODES)[row % 3], seed=row // 3)
    _save(figure, path)


def _grid(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns)
    for axis in axes.flat:
        axis.axis("off")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    return figure, axes


def _show(axis: Axes, class_name: str, domain: str, modality: str, seed: int) -> None:
    scene = sample_scene(np.random.default_rng([1, seed]), class_name, clutter=1.0)
    picture = render(scene, SENSORS[domain], modality, np.random.default_rng([2, seed]))
    if modality == "depth":
        missing = np.ma.masked_equal(picture, 0)
        axis.set_facecolor("black")
        axis.imshow(missing, cmap="viridis_r", vmin=500, vmax=FARTHEST)
    else:
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)


def _save(figure: Any, path: Path) -> None:
    # Few colours keep the file small; the pictures are thumbnails.
    from io import BytesIO

    from PIL import Image

    raw = BytesIO()
    figure.savefig(raw, dpi=110)
    Image.open(raw).convert("RGB").quantize(256).save(path, optimize=True)


def main(folder: Path) -> None:
    """Write ``rooms-classes.png`` and ``rooms-sensors.png`` to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    class_sheet(folder / "rooms-classes.png")
    sensor_sheet(folder / "rooms-sensors.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
