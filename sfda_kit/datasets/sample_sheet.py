"""A sheet of samples with their class names, to see what a loader delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.channel_statistics import holding
from sfda_kit.errors import UserError, printable
from sfda_kit.interfaces.dataset import Dataset, Index
from sfda_kit.interfaces.modality import FRACTION, Modality
from sfda_kit.plugins.modalities import modality as modality_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sfda_kit.interfaces.encoding import Encoding

MISSING_COLOUR = "#ff00ff"
"""The colour of depth that was not measured; no colour of the scale is near it."""
_CELL_INCHES = 1.25
_LONGEST = 24
"""Characters of a file name that fit above a sample."""


def draw_pairs(
    dataset: Dataset,
    out_png: Path,
    modalities: Sequence[str],
    domain: str | None = None,
    number: int = 24,
    seed: int = 0,
    size: int = 128,
    encoding: Encoding | None = None,
    worse: Callable[[NDArray[Any], NDArray[np.int64], Modality], NDArray[Any]] | None = None,
) -> NDArray[np.int64]:
    """Draw ``number`` random samples, one column per sample and one row per modality; return their rows.

    Above each sample stand its class and its file name. Brightness is shown from 0 to full scale. Values in a unit have
    the colours of their modality over the sheet's own range, and missing pixels are ``MISSING_COLOUR``. With
    ``encoding`` each modality but RGB has another row: the three channels of a network's input as colours. With
    ``worse`` each modality but RGB (or RGB, where it is alone) has a row of what that makes of the pixels, and these
    are encoded. Samples have all ``modalities`` and are spread over the classes. Raises ``UserError`` on an unknown
    domain or an unwritable path, ``DataError`` on a bad file.
    """
    index = dataset.index()
    whole = np.arange(len(index.label))
    for name in modalities:
        whole = holding(dataset, whole, name)
    if not whole.size:
        raise UserError(f"No sample has {' and '.join(modalities)}. Ask for other modalities, or for one alone.")
    rows = _spread(index, domain, number, seed, whole)
    pixels: dict[str, NDArray[Any]] = {}
    for name in modalities:
        pixels[name] = last = np.asarray(dataset.peek(rows, name, size))
        if worse is not None and (name != "rgb" or len(modalities) == 1):
            pixels[f"{name} stressed"] = last = worse(last, rows, modality_of(name))
        if encoding is not None and name != "rgb":
            pixels[f"{name} encoded"] = _encoded(last, name, encoding)
    labels = [_label(index.classes[index.label[row]], index.names[row]) for row in rows]
    figure = _figure(dataset, labels, pixels)
    try:
        out_png.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out_png, dpi=100, format="png")
    except OSError as error:
        raise UserError(f"The sheet cannot be written to {out_png} ({error.strerror}). Choose another.") from None
    return rows


def _encoded(pixels: NDArray[Any], name: str, encoding: Encoding) -> NDArray[np.uint8]:
    """Turn stored pixels (N, S, S) into uint8 (N, side, side, 3), as the test transform delivers them."""
    import torch

    from sfda_kit.data.views import ImageView

    side = pixels.shape[1] * 7 // 8  # the share of the stored image that a network sees
    encoded = ImageView(pixels, modality_of(name), encoding, side).encoded(torch.arange(len(pixels)))
    shown: NDArray[np.uint8] = (encoded.movedim(1, -1) * 255).round().byte().numpy()
    return shown


def _spread(index: Index, domain: str | None, number: int, seed: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return random rows of ``chosen``, taken from one class after the other, then sorted by class."""
    if domain is not None:
        if domain not in index.domains:
            raise UserError(f"No domain {domain!r}. Known: {', '.join(index.domains)}.")
        chosen = chosen[index.domain[chosen] == index.domains.index(domain)]
    if number < 1 or not chosen.size:
        raise UserError(f"{number} of {chosen.size} samples cannot be drawn. Ask for at least one.")
    chosen = np.random.default_rng(seed).permutation(chosen)
    labels = index.label[chosen]
    turn = np.zeros(len(chosen), dtype=np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    taken = chosen[np.argsort(turn, kind="stable")[:number]]
    return taken[np.argsort(index.label[taken], kind="stable")]


def _figure(dataset: Dataset, names: Sequence[str], pixels: dict[str, NDArray[Any]]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(8, len(names))
    bands = -(-len(names) // columns)
    height = bands * (len(pixels) * _CELL_INCHES + 0.3) + 0.6
    figure = Figure(
        figsize=(columns * _CELL_INCHES + 0.9, height),
        layout=ConstrainedLayoutEngine(h_pad=0.02, w_pad=0.02, hspace=0.0, wspace=0.0),
    )
    figure.suptitle(_title(dataset, pixels), fontsize=8)
    axes = figure.subplots(bands * len(pixels), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    scales: dict[str, tuple[float, float]] = {}
    for line, (title, images) in enumerate(pixels.items()):
        kind = modality_of(title.partition(" ")[0]).held_in(images.dtype) if images.ndim == 3 else None
        values = images / kind.divisor(images.dtype) if kind else images
        is_first = kind is not None and kind.name not in scales
        scale = scales.setdefault(kind.name, _scale(values, kind)) if kind else None
        for number, image in enumerate(values):
            axis = axes[number // columns * len(pixels) + line, number % columns]
            shown = _draw(axis, image, kind, scale)
            if line == 0:
                axis.set_title(names[number], fontsize=6, parse_math=False)
        if kind and is_first and kind.unit != FRACTION:
            bar = figure.colorbar(shown, ax=axes, shrink=0.6, aspect=40)
            bar.set_label(f"{kind.unit}; magenta: missing" if kind.zero_is_missing else kind.unit, fontsize=7)
            bar.ax.tick_params(labelsize=7)
    return figure


def _title(dataset: Dataset, pixels: dict[str, NDArray[Any]]) -> str:
    synthetic = "synthetic: " if dataset.synthetic and "synthetic" not in dataset.summary else ""
    return f"{synthetic}{dataset.summary}\n{' over '.join(pixels)}"


def _scale(values: NDArray[Any], kind: Modality) -> tuple[float, float]:
    """Return the values that the two ends of the colour map stand for."""
    if kind.unit == FRACTION:
        return 0.0, 1.0
    measured = values[values > 0] if kind.zero_is_missing else values
    if not measured.size:
        return 0.0, 1.0
    low, high = np.percentile(measured, (1, 99))
    return float(low), float(max(high, low + 0.01))


def _draw(axis: Axes, image: NDArray[Any], kind: Modality | None, scale: tuple[float, float] | None) -> Any:
    if kind is None or scale is None:
        return axis.imshow(image)
    from matplotlib import colormaps

    colours = colormaps[kind.colours].with_extremes(bad=MISSING_COLOUR)
    values = np.ma.masked_equal(image, 0) if kind.zero_is_missing else image
    return axis.imshow(values, cmap=colours, vmin=scale[0], vmax=scale[1], interpolation="nearest")


def _label(scene_class: str, name: str) -> str:
    """Return class and file name in two lines; the middle of a long name is left out."""
    last = printable(name.rpartition("/")[2])
    short = last if len(last) <= _LONGEST else f"{last[: _LONGEST // 2 - 1]}…{last[-_LONGEST // 2 :]}"
    return f"{printable(scene_class).replace('_', ' ')}\n{short}"
