"""Counts of correct stored predictions by group of images; every comparison is computed from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Counts = NDArray[np.int32]

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
    """A score counts the correct predictions (G, K) of a run and of the source model it started from."""

    images: ScoredImages
    correct: Counts
    source_correct: Counts

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
    """A reader reads the predictions of ``part``; it indexes the images once for all runs that share them."""

    part: str
    by_class: bool
    _known: list[tuple[pa.Table, ScoredImages]] = field(default_factory=list)

    def read(self, folder: Path) -> Scored | None:
        """Return the counts of the run in ``folder``; None where predictions are missing, broken or not of ``part``."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        try:
            stored = pa.BufferReader((folder / "predictions.parquet").read_bytes())  # faster than by path
            table = pq.ParquetFile(stored).read(columns=list(COLUMNS), use_threads=False)
            if any(table[name].null_count for name in COLUMNS):
                return None
            images = self._images(table.select(["part", *IMAGES]))
            if not len(images.rows):
                return None
            correct = [pc.equal(table["label"], table[name]).to_numpy()[images.rows] for name in ANSWERS]
        except (OSError, KeyError, pa.ArrowException):
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
        if self.by_class:
            _, label = np.unique(_values(table["label"]), return_inverse=True)
        shape = (int(np.max(group)) + 1, int(np.max(label)) + 1)
        cell = np.asarray(group * shape[1] + label, dtype=np.intp)
        return ScoredImages(_key(table), rows, cell, _count(cell, shape))


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    return values.astype(str) if values.dtype == object else values


def _count(cells: NDArray[np.intp], shape: tuple[int, ...]) -> Counts:
    counts: Counts = np.bincount(cells, minlength=int(np.prod(shape))).astype(np.int32)
    return counts.reshape(shape)


def _key(table: pa.Table) -> str:
    rows = sorted(zip(*(map(str, table[name].to_pylist()) for name in IMAGES), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
