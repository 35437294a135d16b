"""Statistics of a data set: samples of each class and domain, and histograms of brightness or distance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.stored_values import as_dtype, widest
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import Dataset, Index
from sfda_kit.interfaces.modality import FRACTION, Modality
from sfda_kit.plugins.modalities import modality as modality_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 32
_SIZE = 64
_FEW = 128
"""Images read at a time."""


@dataclass(frozen=True)
class Histogram:
    """Shares of pixels (sum 1) between ``edges`` (BINS + 1), in ``unit``.

    ``missing``: share of pixels that the sensor did not measure, counted in whole files; they are in no bin.
    ``images``: number of images read.
    """

    domain: str
    modality: str
    images: int
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float
    std: float
    missing: float
    unit: str


@dataclass(frozen=True)
class DatasetStatistics:
    """Counts and histograms of a data set. ``counts``: number of samples, int64 (classes, domains)."""

    classes: tuple[str, ...]
    domains: tuple[str, ...]
    counts: NDArray[np.int64]
    groups: int
    histograms: tuple[Histogram, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics as values that JSON can hold."""
        table = {
            name: dict(zip(self.domains, map(int, row), strict=True))
            for name, row in zip(self.classes, self.counts, strict=True)
        }
        return {"classes": table, "groups": self.groups, "histograms": [vars(one) for one in self.histograms]}


def statistics(dataset: Dataset, modalities: Sequence[str], number: int = 200, seed: int = 0) -> DatasetStatistics:
    """Count all samples, and make histograms over at most ``number`` random images of each sensor.

    A sensor that the set does not have is left out. Raises ``DataError`` on a bad file, and where no image is found.
    """
    index = dataset.index()
    counts = np.zeros((len(index.classes), len(index.domains)), np.int64)
    np.add.at(counts, (index.label, index.domain), 1)
    found = [
        one
        for domain in range(len(index.domains))
        for name in modalities
        if (one := _histogram(dataset, index, domain, name, number, seed)) is not None
    ]
    if not found:
        raise DataError(f"No image of {', '.join(modalities)} was found. Name other modalities (--modality).")
    return DatasetStatistics(index.classes, index.domains, counts, len(np.unique(index.group)), tuple(found))


def _histogram(dataset: Dataset, index: Index, domain: int, name: str, number: int, seed: int) -> Histogram | None:
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(index.domain == domain))
    rows = holding(dataset, rows, name)[:number]
    if not rows.size:
        return None
    read = [np.asarray(dataset.peek(rows[start : start + _FEW], name, _SIZE)) for start in range(0, len(rows), _FEW)]
    pixels = np.concatenate([as_dtype(one, widest(read)) for one in read])
    kind = modality_of(name).held_in(pixels.dtype)
    measured = pixels[pixels > 0] if kind.zero_is_missing else pixels.ravel()
    values = measured.astype(np.float64) / kind.divisor(pixels.dtype)
    counted, edges = np.histogram(values, bins=BINS, range=_span(kind, values))
    shares = counted / max(counted.sum(), 1)
    mean, std = (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)
    missing = _missing(dataset, rows, name, pixels) if kind.zero_is_missing else 0.0
    bars = tuple(map(float, edges)), tuple(map(float, shares))
    return Histogram(index.domains[domain], name, len(rows), *bars, mean, std, missing, kind.unit)


def _span(kind: Modality, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of a histogram: that of brightness, distances from 0 on, other values from the least on."""
    if kind.unit == FRACTION:
        return 0.0, 1.0
    far = float(np.max(values, initial=0.0))
    low = 0.0 if kind.zero_is_missing or not values.size else float(values.min())
    return low, max(far, low + 1e-3)


def _missing(dataset: Dataset, rows: NDArray[np.int64], name: str, small: NDArray[Any]) -> float:
    """Return the share of missing pixels in whole files: in resized images small holes are gone.

    Of a set without files it is that of the resized images ``small``.
    """
    from sfda_kit.datasets.folder_dataset import FolderDataset

    if not isinstance(dataset, FolderDataset):
        return 1 - np.count_nonzero(small) / small.size
    measured, pixels = 0, 0
    for image in dataset.image_files(rows, name).whole():
        measured, pixels = measured + np.count_nonzero(image), pixels + image.size
    return 1 - measured / pixels


def held(dataset: Dataset) -> tuple[str, ...]:
    """Return the most modalities that samples have together; all of them where the set is no ``FolderDataset``."""
    from sfda_kit.datasets.folder_dataset import FolderDataset

    if not isinstance(dataset, FolderDataset):
        return dataset.modalities
    together = Counter(frozenset(row.files) for row in dataset.scanned.rows)
    most = max(together, key=lambda names: (len(names), together[names]), default=frozenset())
    return tuple(name for name in dataset.modalities if name in most)


def holding(dataset: Dataset, rows: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    """Return those of ``rows`` that have the modality; all of them where the set is no ``FolderDataset``."""
    from sfda_kit.datasets.folder_dataset import FolderDataset

    if not isinstance(dataset, FolderDataset):
        return rows
    samples = dataset.scanned.rows
    return np.array([row for row in rows if name in samples[row].files], dtype=np.int64)


def draw(found: DatasetStatistics, out_png: Path, title: str) -> None:
    """Plot the counts and one panel per modality. Raises ``UserError`` when ``out_png`` cannot be written."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(one.modality for one in found.histograms))
    figure = Figure(figsize=(5 + 4 * len(names), max(3.2, 0.22 * len(found.classes) + 1.4)), layout="constrained")
    figure.suptitle(title, fontsize=9, parse_math=False)
    axes = figure.subplots(1, 1 + len(names), squeeze=False)[0]
    _draw_counts(axes[0], found)
    for axis, name in zip(axes[1:], names, strict=True):
        _draw_histograms(axis, [one for one in found.histograms if one.modality == name])
    try:
        out_png.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out_png, dpi=110, format="png")
    except OSError as error:
        raise UserError(f"The plot cannot be written to {out_png} ({error.strerror}). Choose another.") from None


def _draw_counts(axis: Axes, found: DatasetStatistics) -> None:
    """Draw one bar per class, with one part per domain."""
    left = np.zeros(len(found.classes), np.int64)
    for column, domain in enumerate(found.domains):
        axis.barh(range(len(found.classes)), found.counts[:, column], left=left, label=domain)
        left += found.counts[:, column]
    axis.set_yticks(range(len(found.classes)), [_plain(name) for name in found.classes], fontsize=7, parse_math=False)
    axis.invert_yaxis()
    axis.set_xlabel("samples", fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    _legend(axis)


def _draw_histograms(axis: Axes, histograms: Sequence[Histogram]) -> None:
    for one in histograms:
        axis.stairs(one.shares, one.edges, label=one.domain)
    kind = modality_of(histograms[0].modality)
    axis.set_xlabel(f"{kind.name}, {' or '.join(dict.fromkeys(one.unit for one in histograms))}", fontsize=8)
    axis.set_ylabel("share of measured pixels" if kind.zero_is_missing else "share of pixels", fontsize=8)
    axis.tick_params(labelsize=7)
    _legend(axis)


def _legend(axis: Axes) -> None:
    for text in axis.legend(fontsize=7).get_texts():
        text.set_text(_plain(text.get_text()))
        text.set_parse_math(False)


def _plain(name: str) -> str:
    """Return the name of a folder in characters that can be drawn."""
    from sfda_kit.errors import printable

    return printable(name)
