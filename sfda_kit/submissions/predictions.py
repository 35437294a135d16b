"""Reads predictions from a hostile parquet file: it checks the sizes in its metadata first, then every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.submissions.findings import is_unprintable, listed
from sfda_kit.submissions.layout import MIB

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TEXTS = ("part", "name", "label", "prediction", "source_only_prediction")
LEAVES = {
    "part": "BYTE_ARRAY",
    "name": "BYTE_ARRAY",
    "group": "INT64",
    "label": "BYTE_ARRAY",
    "prediction": "BYTE_ARRAY",
    "source_only_prediction": "BYTE_ARRAY",
    "probabilities.list.element": "FLOAT",
}
"""Columns of ``results/predictions.py`` as parquet stores them, in order."""

WITH_LOGITS = {**LEAVES, "logits.list.element": "FIXED_LEN_BYTE_ARRAY"}
"""The columns of present versions, which also store the logits as float16."""

PARTS = {"transductive": "target-train", "heldout": "target-test"}
"""The part of the task for each evaluated part."""

MAX_ROWS, MAX_VALUES, MAX_ROW_GROUPS = 500_000, 20_000_000, 16
MAX_TEXT = 400
SUM_TOLERANCE = 1e-3
"""How far the sum of probabilities (float32, perhaps computed in bfloat16) may be from 1."""

HALF_STEP = 2.0**-11
"""The largest relative error of rounding to float16. It bounds how far the softmax of stored logits may be from the
probabilities: by twice the rounding error of the largest logit."""


@dataclass(frozen=True)
class Predictions:
    """Predictions hold N rows: ``part``, ``name`` (text), ``group``, ``probabilities`` (N, K), and codes (N,) of label,
    prediction and the source model's prediction. Codes and probabilities are in the order of the task's classes."""

    part: NDArray[np.str_]
    name: NDArray[np.str_]
    group: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    source_only: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def read_predictions(data: bytes, classes: Sequence[str], rows: Mapping[str, int]) -> Predictions:
    """Return the table in ``data``. ``rows``: number of images by evaluated part, as the record's task says.

    Raises ``ValueError`` (pyarrow's errors among them) where it is not what the toolkit writes.
    """
    table = _read(data, sum(rows.values()), len(classes))
    columns = {name: _texts(table.column(name), name) for name in TEXTS}
    group = table.column("group").to_numpy()
    probabilities = _by_class(table.column("probabilities"), len(classes), "probabilities")
    codes = {name: _codes(columns[name], classes, name) for name in ("label", "prediction", "source_only_prediction")}
    found = Predictions(
        columns["part"],
        columns["name"],
        group,
        codes["label"],
        codes["prediction"],
        codes["source_only_prediction"],
        probabilities,
    )
    _check_rows(found, rows)
    _check_names(found)
    _check_probabilities(found)
    if "logits" in table.column_names:
        _check_logits(_by_class(table.column("logits"), len(classes), "logits"), found)
    return found


def _read(data: bytes, rows: int, classes: int) -> pa.Table:
    """Read the table once its metadata show that it is small; texts stay dictionaries, so none is copied per row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    limits = {"thrift_string_size_limit": MIB, "thrift_container_size_limit": 10_000}
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(TEXTS), pre_buffer=False, **limits)
    _check_metadata(file, rows, classes)
    table = file.read(use_threads=False)
    table.validate(full=True)
    if table.num_rows != rows:
        raise ValueError(f"it holds {table.num_rows} rows, its metadata say {rows}")
    for name in table.column_names:
        if table.column(name).null_count:
            raise ValueError(f"the column {name} has missing values")
    return table


def _check_metadata(file: pq.ParquetFile, rows: int, classes: int) -> None:
    found = file.metadata
    leaves = {found.schema.column(k).path: found.schema.column(k).physical_type for k in range(found.num_columns)}
    if list(leaves.items()) not in (list(LEAVES.items()), list(WITH_LOGITS.items())):
        raise ValueError(
            f"its columns are {listed(leaves, 8)}; expected {', '.join(LEAVES)} as the toolkit writes them, and "
            "perhaps logits.list.element in half precision"
        )
    if rows > MAX_ROWS or rows * classes > MAX_VALUES:
        raise ValueError(f"the record says {rows} rows of {classes} classes: too many to be checked")
    if found.num_rows != rows:
        raise ValueError(
            f"it says it holds {found.num_rows} rows, but the record's task has {rows} images in its parts"
        )
    if found.num_row_groups > MAX_ROW_GROUPS:
        raise ValueError(f"it has {found.num_row_groups} row groups, at most {MAX_ROW_GROUPS} are read")
    groups = [found.row_group(k) for k in range(found.num_row_groups)]
    chunks = [group.column(k) for group in groups for k in range(found.num_columns)]
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if any(chunk.total_uncompressed_size < 0 for chunk in chunks) or size > 64 * MIB + 16 * rows * classes:
        raise ValueError(f"it says it unpacks to {size} bytes, more than such a table takes")
    for column in range(len(LEAVES) - 1, found.num_columns):
        values, name = sum(group.column(column).num_values for group in groups), list(leaves)[column].partition(".")[0]
        if values != rows * classes:
            raise ValueError(f"it says it holds {values} {name}; {rows} rows of {classes} classes are expected")


def _texts(column: pa.ChunkedArray, name: str) -> NDArray[np.str_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    for chunk in column.chunks:
        known = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        longest = pc.max(pc.binary_length(known)).as_py() or 0
        if not pa.types.is_string(known.type) or longest > MAX_TEXT or known.null_count:
            raise ValueError(f"the column {name} holds something other than texts of at most {MAX_TEXT} bytes")
    texts = [text for chunk in column.chunks for text in chunk.to_pylist()]
    if bad := [text for text in set(texts) if not text.isprintable() and any(map(is_unprintable, text))]:
        raise ValueError(f"the column {name} holds control characters: {listed(bad, 3)}")
    return np.array(texts, dtype=object)


def _by_class(column: pa.ChunkedArray, classes: int, name: str) -> NDArray[np.float32]:
    """Return the values (N, K) of a column of lists, one for each class."""
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if lengths != [classes]:
        raise ValueError(f"its rows have {listed(lengths)} {name}, the task has {classes} classes")
    values = pc.list_flatten(column)
    if values.null_count:
        raise ValueError(f"the column {name} has missing values")
    return np.asarray(values.to_numpy(), dtype=np.float32).reshape(-1, classes)


def _codes(names: NDArray[Any], classes: Sequence[str], column: str) -> NDArray[np.int64]:
    code = {name: k for k, name in enumerate(classes)}
    if unknown := sorted(set(names) - set(code)):
        raise ValueError(f"the column {column} names classes that the task does not have: {listed(unknown)}")
    return np.array([code[name] for name in names], dtype=np.int64)


def _check_rows(found: Predictions, rows: Mapping[str, int]) -> None:
    if unknown := sorted(set(found.part) - set(rows)):
        raise ValueError(f"it has rows of unknown parts: {listed(unknown)}")
    for part, expected in rows.items():
        count = int((found.part == part).sum())
        if count != expected:
            raise ValueError(f"{count} rows are {part}, the record's task has {expected} images in {PARTS[part]}")


def _check_names(found: Predictions) -> None:
    names, counts = np.unique(found.name.astype(str), return_counts=True)
    if twice := names[counts > 1].tolist():
        raise ValueError(f"samples are there more than once: {listed(twice)}")


def _check_probabilities(found: Predictions) -> None:
    values = found.probabilities
    if not np.isfinite(values).all() or np.min(values) < 0 or np.max(values) > 1:
        raise ValueError("a probability is not in [0, 1]")
    sums = values.sum(axis=1, dtype=np.float64)
    if (worst := float(np.max(np.abs(sums - 1)))) > SUM_TOLERANCE:
        raise ValueError(f"the probabilities of a sample do not sum to 1 (off by {worst:.3g})")
    taken = values[np.arange(len(values)), found.prediction]
    if wrong := np.flatnonzero(taken < values.max(axis=1)).tolist():
        raise ValueError(
            f"the prediction is not the most probable class for {len(wrong)} samples: {listed(found.name[wrong[:5]])}"
        )


def _check_logits(logits: NDArray[np.float32], found: Predictions) -> None:
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number")
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    softmax = shifted / shifted.sum(axis=1, keepdims=True)
    off = np.abs(softmax - found.probabilities).max(axis=1)
    allowed = SUM_TOLERANCE + 2 * HALF_STEP * np.abs(logits).max(axis=1)
    if wrong := np.flatnonzero(off > allowed).tolist():
        raise ValueError(
            f"the logits do not give the probabilities of {len(wrong)} samples: {listed(found.name[wrong[:5]])}"
        )
