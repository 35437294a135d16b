"""The confusion matrix of a run, from its stored predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sfda_kit.results.collection import StoredRun

MAX_CLASSES = 40
"""The most classes of a matrix; a larger one is not readable, and the run page then says so."""
COLUMNS = ["part", "label", "prediction"]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix has ``counts`` (K, K) of held-out images, rows by true class, columns by predicted class."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    def lines(self) -> list[tuple[str, list[ConfusionCell], int]]:
        """Return each true class, its cells, and its number of images."""
        totals = self.counts.sum(axis=1)
        percent = (100.0 * self.counts / totals[:, None].clip(min=1)).tolist()
        cells = [
            [ConfusionCell.of(value, at == place) for at, value in enumerate(row)] for place, row in enumerate(percent)
        ]
        return list(zip(self.classes, cells, totals.tolist(), strict=True))


class ConfusionCell(NamedTuple):
    """A cell has ``text``, percent of its row (empty if that rounds to 0), and ``look``, its style sheet classes."""

    text: str
    look: str

    @classmethod
    def of(cls, percent: float, diagonal: bool) -> ConfusionCell:
        """Return the cell that has ``percent`` of its row; ``diagonal`` marks correct predictions."""
        if percent < 0.5:
            return EMPTY
        return cls(f"{percent:.0f}", f"heat-{round(percent / 10)}{' diagonal' if diagonal else ''}")


EMPTY = ConfusionCell("", "")


def confusion_of(run: StoredRun) -> Confusion | None:
    """Return the matrix of ``run``, None where predictions have no labels, cannot be read, or have too many classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.path / "predictions.parquet"
    if not path.is_file():
        return None
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table takes ten times as long, because it looks for data sets.
            stored = file.read(columns=COLUMNS, use_threads=False)
        held_out = [column.to_pylist() for column in stored.columns]
    except (pa.ArrowException, OSError):
        return None
    if len(held_out) != len(COLUMNS):
        return None
    pairs = [(str(true), str(said)) for part, true, said in zip(*held_out, strict=True) if part == "heldout"]
    return _counted(pairs, run.record.task.get("classes"))


def _counted(pairs: list[tuple[str, str]], order: Any) -> Confusion | None:
    known = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
    classes = list(dict.fromkeys([*known, *sorted({name for pair in pairs for name in pair})]))
    if not pairs or len(classes) > MAX_CLASSES:
        return None
    place = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, tuple(np.array([[place[t], place[p]] for t, p in pairs]).T), 1)
    return Confusion(tuple(classes), counts)
