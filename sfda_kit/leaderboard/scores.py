"""Counts of correct stored predictions by group of images; every comparison is computed from them.

The AUROC is no count. There each group has a pseudo-value (``group_areas.py``) in the place of its count, and counts as
one image, so that everything else is computed as for accuracies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.leaderboard.group_areas import pseudo_values

if TYPE_CHECKING:
    import pyarrow as pa

Counts = NDArray[Any]
"""Counts (int32), or pseudo-values (float64)."""

IMAGES = ("name", "group", "label")
ANSWERS = ("prediction", "source_only_prediction")
COLUMNS = ("part", *IMAGES, *ANSWERS)


@dataclass(frozen=True)
class ScoredImages:
    """These are the images of one part. Equal names, groups and labels give an equal ``key``, in any order.

    ``rows``: their rows in the stored table; ``cell``: flat index of (group, class) of each image. ``total`` (G, K):
    number of images by group and class; K is 1 unless classes are counted separately.
    """

    key: str
    rows: NDArray[np.intp]
    cell: NDArray[np.intp]
    total: Counts


@dataclass(frozen=True)
class Scored:
    """A score counts the correct predictions (G, K) of a run and of the source model it started from.

    ``source_correct`` is None where the predictions do not tell it, as for the AUROC.
    """

    images: ScoredImages
    correct: Counts
    source_correct: Counts | None

    def value(self) -> float:
        """Return the metric in percent, computed from the counts alone."""
        return float(percent(self.correct.sum(0), self.images.total.sum(0)))


def percent(correct: NDArray[Any], total: NDArray[Any]) -> NDArray[np.float64]:
    """Return percent correct (...), the mean over those classes of the last axis (..., K) that have images."""
    present = total > 0
    share = np.divide(correct, total, out=np.zeros(np.broadcast_shapes(correct.shape, total.shape)), where=present)
    return np.asarray(100.0 * share.sum(-1) / np.maximum(present.sum(-1), 1))


@dataclass
class PredictionReader:
    """A reader reads what ``metric`` is made of; it indexes the images once for all runs that share them."""

    metric: str
    _known: list[tuple[pa.Table, ScoredImages]] = field(default_factory=list)

    @property
    def part(self) -> str:
        """The part of the target images that the metric is of: ``heldout`` or ``transductive``."""
        return self.metric.partition("_")[0]

    @property
    def of_areas(self) -> bool:
        """Whether the metric is an AUROC."""
        return self.metric.endswith("_auroc")

    def read(self, folder: Path, classes: Sequence[str]) -> Scored | None:
        """Return the counts of the run in ``folder``, whose probabilities are those of ``classes`` in this order.

        None where predictions are missing, broken or not of the part of the metric.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        try:
            stored = pa.BufferReader((folder / "predictions.parquet").read_bytes())  # faster than by path
            columns = [*COLUMNS, *(["probabilities"] if self.of_areas else [])]
            table = pq.ParquetFile(stored).read(columns=columns, use_threads=False)
            if any(table[name].null_count for name in COLUMNS):
                return None
            images = self._images(table.select(["part", *IMAGES]))
            if not len(images.rows):
                return None
            if self.of_areas:
                return _areas(images, table.take(images.rows), classes)
            correct = [pc.equal(table["label"], table[name]).to_numpy()[images.rows] for name in ANSWERS]
        except (OSError, KeyError, ValueError, pa.ArrowException):
            return None
        return Scored(images, *(_count(images.cell[right], images.total.shape) for right in correct))

    def _images(self, table: pa.Table) -> ScoredImages:
        for known, images in self._known:
            if known.equals(table):
                return images
        images = self._index(table)
        self._known.append((table, images))
        return images

    def _index(self, table: pa.Table) -> ScoredImages:
        rows = np.flatnonzero(_values(table["part"]) == self.part)
        if not len(rows):
            return ScoredImages("", rows, rows, np.zeros((0, 1), np.int32))
        table = table.take(rows)
        _, group = np.unique(_values(table["group"]), return_inverse=True)
        label = np.zeros_like(group)
        if "mean_class" in self.metric:
            _, label = np.unique(_values(table["label"]), return_inverse=True)
        shape = (int(np.max(group)) + 1, int(np.max(label)) + 1)
        cell = np.asarray(group * shape[1] + label, dtype=np.intp)
        total = np.ones((shape[0], 1), np.int32) if self.of_areas else _count(cell, shape)
        return ScoredImages(_key(table), rows, cell, total)


def _areas(images: ScoredImages, table: pa.Table, classes: Sequence[str]) -> Scored | None:
    """Return the pseudo-values of the groups; ``table`` holds the rows of ``images``."""
    probabilities = np.array(table["probabilities"].to_pylist(), dtype=np.float64)
    code = {name: number for number, name in enumerate(classes)}
    labels = np.array([code.get(name, -1) for name in table["label"].to_pylist()])
    if probabilities.shape != (len(labels), len(classes)) or (labels < 0).any() or not np.isfinite(probabilities).all():
        return None
    found = pseudo_values(probabilities, labels, images.cell)
    return None if found is None else Scored(images, found[:, None], None)


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    return values.astype(str) if values.dtype == object else values


def _count(cells: NDArray[np.intp], shape: tuple[int, ...]) -> Counts:
    counts: Counts = np.bincount(cells, minlength=int(np.prod(shape))).astype(np.int32)
    return counts.reshape(shape)


def _key(table: pa.Table) -> str:
    rows = sorted(zip(*(map(str, table[name].to_pylist()) for name in IMAGES), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
