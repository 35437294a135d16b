"""Per-sample predictions as a parquet file, from which every score can be recomputed.

``logits`` are float16, 2 bytes for each image and class. Numbers have no dictionary, because they hardly repeat: a file
of 721 images and 6 classes takes 32 kB, and took 30 kB with dictionaries and without logits. Files of older versions
have no such column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sfda_kit.files import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfda_kit.evaluate.evaluation import Evaluated

TEXTS = ("part", "name", "label", "prediction", "source_only_prediction")


def write_predictions(
    folder: Path,
    adapted: Mapping[str, Evaluated],
    source_only: Mapping[str, Evaluated],
    classes: Sequence[str],
) -> None:
    """Write ``predictions.parquet``.

    Its columns: part, name, group, label, prediction, source_only_prediction, probabilities, logits.
    """
    tables = [_table(part, result, source_only[part], classes) for part, result in adapted.items()]
    with atomic(folder / "predictions.parquet") as work:
        pq.write_table(pa.concat_tables(tables), work, compression="zstd", use_dictionary=list(TEXTS))


def _table(part: str, adapted: Evaluated, source_only: Evaluated, classes: Sequence[str]) -> pa.Table:
    view = adapted.view
    names = pa.array(classes)

    def by_name(codes: NDArray[np.int64]) -> pa.Array:
        return names.take(pa.array(codes, pa.int64()))

    return pa.table(
        {
            "part": pa.array([part] * len(view.names)),
            "name": pa.array(list(view.names)),
            "group": pa.array(list(view.groups), pa.int64()),
            "label": by_name(view.labels.numpy()),
            "prediction": by_name(adapted.predictions),
            "source_only_prediction": by_name(source_only.predictions),
            "probabilities": list_rows(adapted.probabilities),
            "logits": _half_precision(adapted.logits),
        }
    )


def list_rows(table: NDArray[np.float32]) -> pa.Array:
    """Return the rows of ``table`` (N, K) as lists of float32, without an object for each value."""
    return _lists(np.ascontiguousarray(table, np.float32))


def _half_precision(logits: NDArray[np.float32]) -> pa.Array:
    """Return the rows of ``logits`` (N, K) as lists of float16; what is too large for it becomes its largest number."""
    largest = np.finfo(np.float16).max
    return _lists(logits.clip(-largest, largest).astype(np.float16))


def _lists(table: NDArray[Any]) -> pa.Array:
    rows, width = table.shape
    values = pa.array(table.reshape(-1))
    lists = pa.LargeListArray.from_arrays(np.arange(rows + 1, dtype=np.int64) * width, values)
    return lists.cast(pa.list_(values.type))
