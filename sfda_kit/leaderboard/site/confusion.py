"""The confusion matrix of a run, from its stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from sfda_kit.results.collection import StoredRun

MAX_CLASSES = 40
"""The most classes of a matrix; a larger one is not readable, and the run page then says so."""
COLUMNS = ["part", "label", "prediction"]
HELD_OUT = "heldout"
Coded = tuple[list[str], NDArray[np.integer[Any]]]


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix has ``counts`` (K, K) of held-out images, rows by true class, columns by predicted class."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    def lines(self) -> list[tuple[str, list[Markup], int]]:
        """Return each true class, its cells as markup, and its number of images."""
        totals = self.counts.sum(axis=1)
        percent = (100.0 * self.counts / totals[:, None].clip(min=1)).tolist()
        cells = [[_cell(value, at == place) for at, value in enumerate(row)] for place, row in enumerate(percent)]
        return list(zip(self.classes, cells, totals.tolist(), strict=True))


def _cell(percent: float, diagonal: bool) -> Markup:
    """Return a cell of a table that has ``percent`` of its row, empty if that rounds to 0; ``diagonal``: correct ones.
    A page has hundreds of them, and a template would take long to escape what holds numbers alone."""
    if percent < 0.5:
        return EMPTY
    look = f"heat-{round(percent / 10)}{' diagonal' if diagonal else ''}"
    return Markup(f'<td class="{look}">{percent:.0f}</td>')


EMPTY = Markup("<td></td>")


def confusion_of(run: StoredRun) -> Confusion | None:
    """Return the matrix of ``run``, None where predictions have no labels, cannot be read, or have too many classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.path / "predictions.parquet"
    if not path.is_file():
        return None
    try:
        # pq.read_table takes ten times as long, because it looks for data sets.
        with pq.ParquetFile(pa.BufferReader(path.read_bytes()), read_dictionary=COLUMNS) as file:
            stored = file.read(columns=COLUMNS, use_threads=False)
        columns = [_coded(column) for column in stored.columns]
    except (pa.ArrowException, OSError):
        return None
    return _matrix(_held_out(*columns), run.record.task.get("classes")) if len(columns) == len(COLUMNS) else None


def _coded(column: pa.ChunkedArray) -> Coded:
    """Return the different values of ``column`` as texts, and the place of each row's value among them."""
    import pyarrow as pa

    array = column.combine_chunks()
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    names = [*map(str, array.dictionary.to_pylist()), str(None)]
    places = array.indices.fill_null(len(names) - 1) if array.null_count else array.indices
    return names, places.to_numpy()


def _held_out(part: Coded, true: Coded, said: Coded) -> list[tuple[str, str, int]]:
    """Return true class, predicted class and number of images of each pair of classes that held-out images have."""
    held_out = part[1] == part[0].index(HELD_OUT) if HELD_OUT in part[0] else np.zeros(len(part[1]), bool)
    counts = np.bincount((true[1] * len(said[0]) + said[1])[held_out]).tolist()
    places = (divmod(place, len(said[0])) for place in range(len(counts)))
    return [(true[0][t], said[0][p], images) for (t, p), images in zip(places, counts, strict=True) if images]


def _matrix(pairs: Sequence[tuple[str, str, int]], order: Any) -> Confusion | None:
    known = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
    classes = list(dict.fromkeys([*known, *sorted({name for pair in pairs for name in pair[:2]})]))
    if not pairs or len(classes) > MAX_CLASSES:
        return None
    place = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for true, said, images in pairs:
        counts[place[true], place[said]] += images
    return Confusion(tuple(classes), counts)
