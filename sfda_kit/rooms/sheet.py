"""Drawing of the image sheets of the data card: ``python -m sfda_kit.rooms.sheet OUT_DIR``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfda_kit.rooms.layout import DOMAINS, MODALITY_CODES
from sfda_kit.rooms.render import render
from sfda_kit.rooms.scene import sample_scene
from sfda_kit.rooms.sensors import SENSORS
from sfda_kit.rooms.shapes import CLASSES, TI_SHAPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

FARTHEST = 6000
"""The distance in millimetres at the far end of the depth colours."""


def class_sheet(path: Path) -> None:
    """Draw one triple of RGB, depth and NIR for each class, three classes in each row."""
    figure = _figure(9.2, 5.2)
    for number, (name, block) in enumerate(zip(CLASSES, _blocks(figure, 6, 3, wspace=0.05), strict=True)):
        cells = block.subgridspec(1, 3, wspace=0.02)
        for column, modality in enumerate(MODALITY_CODES):
            axis = figure.add_subplot(cells[column])
            _show(axis, name, "kv1", modality, seed=number)
            if column == 1:
                axis.set_title(name + (" (TI)" if name in TI_SHAPES else ""), fontsize=8, pad=2)
    _save(figure, path)


def sensor_sheet(path: Path) -> None:
    """Draw the same two scenes as seen by the four sensors. Rows are modalities, columns are sensors."""
    figure = _figure(5.6, 6.4)
    for scene, block in enumerate(_blocks(figure, 2, 1, hspace=0.03)):
        cells = block.subgridspec(3, 4, wspace=0.02, hspace=0.02)
        for row, modality in enumerate(MODALITY_CODES):
            for column, domain in enumerate(DOMAINS):
                axis = figure.add_subplot(cells[row, column])
                _show(axis, ("chair", "mug")[scene], domain, modality, seed=scene)
                if scene == row == 0:
                    axis.set_title(domain, fontsize=9, pad=3)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def _blocks(figure: Figure, rows: int, columns: int, **space: float) -> Iterator[SubplotSpec]:
    grid = figure.add_gridspec(rows, columns, left=0.005, right=0.995, bottom=0.005, top=0.96, **space)
    return (grid[row, column] for row in range(rows) for column in range(columns))


def _show(axis: Axes, class_name: str, domain: str, modality: str, seed: int) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    scene = sample_scene(np.random.default_rng([1, seed]), class_name, clutter=1.0)
    picture = render(scene, SENSORS[domain], modality, np.random.default_rng([2, seed]))
    if modality == "depth":
        axis.imshow(np.ma.masked_equal(picture, 0), cmap="viridis_r", vmin=500, vmax=FARTHEST)
        axis.set_facecolor("black")
    else:
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)


def _save(figure: Figure, path: Path) -> None:
    """Save the sheet with a palette fitted to it, which keeps the grain visible and the file small."""
    from PIL import Image

    raw = BytesIO()
    figure.savefig(raw, dpi=110)
    Image.open(raw).convert("RGB").quantize(256, kmeans=8).save(path, optimize=True)


def main(folder: Path) -> None:
    """Write ``rooms-classes.png`` and ``rooms-sensors.png`` to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    class_sheet(folder / "rooms-classes.png")
    sensor_sheet(folder / "rooms-sensors.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
