"""Columns of the views over records: their names, the places of their values in the JSON, and their SQL types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class QueryColumn(NamedTuple):
    """A column of a view has a ``pointer``, the keys from the top of the JSON to its value, and an SQL ``type``."""

    pointer: tuple[str, ...]
    type: str = "VARCHAR"


SCORES = tuple(
    f"{part}_{score}"
    for part in ("transductive", "heldout")
    for score in ("accuracy", "mean_class_accuracy", "calibration_error", "auroc")
)

RUNS: dict[str, QueryColumn] = {
    "run_id": QueryColumn(("run_id",)),
    "status": QueryColumn(("status",)),
    "error": QueryColumn(("error",)),
    "method": QueryColumn(("method",)),
    "seed": QueryColumn(("seed",), "BIGINT"),
    "dataset": QueryColumn(("task", "dataset")),
    "source": QueryColumn(("task", "source")),
    "target": QueryColumn(("task", "target")),
    "split": QueryColumn(("config", "dataset", "split")),
    "fold": QueryColumn(("task", "folds", "fold"), "BIGINT"),
    "protocol": QueryColumn(("task", "protocol")),
    "pairs": QueryColumn(("config", "dataset", "pairs")),
    "stress": QueryColumn(("config", "dataset", "stress")),
    "initial_weights": QueryColumn(("config", "adapt", "initial_weights")),
    "encoding": QueryColumn(("task", "encoding", "name")),
    "backbone": QueryColumn(("config", "model", "backbone")),
    "pretrained": QueryColumn(("config", "model", "pretrained"), "BOOLEAN"),
    "backbone_weights": QueryColumn(("config", "model", "backbone_weights")),
    "image_size": QueryColumn(("config", "model", "image_size"), "BIGINT"),
    **{name: QueryColumn(("metrics", name), "DOUBLE") for name in SCORES},
    "source_accuracy": QueryColumn(("metrics", "source_accuracy"), "DOUBLE"),
    **{f"source_only_{name}": QueryColumn(("baselines", "source-only", name), "DOUBLE") for name in SCORES},
    "validator": QueryColumn(("selection", "validator")),
    "chosen_epoch": QueryColumn(("selection", "chosen_epoch"), "BIGINT"),
    "regret": QueryColumn(("selection", "regret"), "DOUBLE"),
    **{name: QueryColumn(("cost", name), "DOUBLE") for name in ("wall_s", "peak_memory_mb", "trained_parameters")},
    "config_digest": QueryColumn(("config_digest",)),
    "task_fingerprint": QueryColumn(("task", "fingerprint")),
    "source_weights_sha256": QueryColumn(("source", "weights_sha256")),
    "sfda_kit_version": QueryColumn(("versions", "sfda-kit")),
    "torch_version": QueryColumn(("versions", "torch")),
    "timm_version": QueryColumn(("versions", "timm")),
    "oracle": QueryColumn(("oracle",), "BOOLEAN"),
    "synthetic": QueryColumn(("synthetic",), "BOOLEAN"),
    "started": QueryColumn(("started",), "TIMESTAMP"),
    "finished": QueryColumn(("finished",), "TIMESTAMP"),
}
"""The columns of every record, though a value may be missing; other figures of the loaded records are added to them."""

HISTORY: dict[str, QueryColumn] = {
    "phase": QueryColumn(("phase",)),
    "epoch": QueryColumn(("epoch",), "BIGINT"),
    "wall_s": QueryColumn(("wall_s",), "DOUBLE"),
    **{name: QueryColumn(("metrics", name), "DOUBLE") for name in SCORES},
    "entropy": QueryColumn(("signals", "entropy"), "DOUBLE"),
    "source_agreement": QueryColumn(("signals", "source_agreement"), "DOUBLE"),
    "churn": QueryColumn(("signals", "churn"), "DOUBLE"),
    "histogram": QueryColumn(("signals", "histogram"), "BIGINT[]"),
}

PREDICTIONS: dict[str, str] = {
    "part": "VARCHAR",
    "name": "VARCHAR",
    "group": "BIGINT",
    "label": "VARCHAR",
    "prediction": "VARCHAR",
    "source_only_prediction": "VARCHAR",
    "probabilities": "FLOAT[]",
    "logits": "FLOAT[]",
}


def run_columns(figures: Mapping[str, Iterable[str]]) -> dict[str, QueryColumn]:
    """Return ``RUNS`` and a column for each of ``figures``: keys of ``metrics``, ``cost`` and ``baselines/NAME``."""
    columns = dict(RUNS)
    for group, names in figures.items():
        section, _, model = group.partition("/")
        prefix = f"{model.replace('-', '_')}_" if model else ""
        for name in names:
            pointer = (section, model, name) if model else (section, name)
            columns.setdefault(prefix + name, QueryColumn(pointer, "DOUBLE"))
    return columns


def history_columns(figures: Mapping[str, Iterable[str]]) -> dict[str, QueryColumn]:
    """Return ``HISTORY`` and a column for each of ``figures``: keys of ``metrics``, and of numbers in ``signals``."""
    columns = dict(HISTORY)
    for section, names in figures.items():
        for name in names:
            columns.setdefault(name, QueryColumn((section, name), "DOUBLE"))
    return columns


def read_columns(columns: Mapping[str, QueryColumn], json: str, others: str, table: str) -> str:
    """Return SQL that selects ``others`` and ``columns`` from the column ``json`` of ``table``.
    A value of a wrong type is NULL. One call for all columns is thirty times faster than one for each."""
    places = ", ".join(literal(pointer(column.pointer)) for column in columns.values())
    cast = ", ".join(
        f"TRY_CAST(found[{number}] AS {column.type}) AS {identifier(name)}"
        for number, (name, column) in enumerate(columns.items(), start=1)
    )
    extracted = f"SELECT {others}, json_extract_string({json}, [{places}]) AS found FROM {table}"
    return f"SELECT {others}, {cast} FROM ({extracted})"


def pointer(keys: Iterable[str]) -> str:
    """Return ``keys`` as a JSON pointer (RFC 6901), which can name any key."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def identifier(name: str) -> str:
    """Return ``name`` quoted as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
