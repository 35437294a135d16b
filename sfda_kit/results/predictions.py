"""Per-sample predictions as a parquet file, from which every score can be recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sfda_kit.files import atomic

if TYPE_CHECKING:
    from sfda_kit.evaluate.evaluation import Evaluated


def write_predictions(
    folder: Path,
    adapted: Mapping[str, Evaluated],
    source_only: Mapping[str, Evaluated],
    classes: Sequence[str],
) -> None:
    """Write ``predictions.parquet``: part, name, group, label, prediction, source_only_prediction, probabilities."""
    tables = [_table(part, result, source_only[part], classes) for part, result in adapted.items()]
    with atomic(folder / "predictions.parquet") as work:
        pq.write_table(pa.concat_tables(tables), work, compression="zstd")


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
        }
    )


def list_rows(table: NDArray[np.float32]) -> pa.Array:
    """Return the rows of ``table`` (N, K) as lists of float32, without an object for each value."""
    rows, width = table.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    lists = pa.LargeListArray.from_arrays(offsets, np.ascontiguousarray(table, np.float32).reshape(-1))
    return lists.cast(pa.list_(pa.float32()))
