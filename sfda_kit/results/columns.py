"""Columns of the views over records: a name, where its value lies in the JSON, and its SQL type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Column(NamedTuple):
    """``pointer``: keys from the top of the JSON document."""

    pointer: tuple[str, ...]
    type: str = "VARCHAR"


SCORES = tuple(
    f"{part}_{score}"
    for part in ("transductive", "heldout")
    for score in ("accuracy", "mean_class_accuracy", "calibration_error")
)

RUNS: dict[str, Column] = {
    "run_id": Column(("run_id",)),
    "status": Column(("status",)),
    "error": Column(("error",)),
    "method": Column(("method",)),
    "seed": Column(("seed",), "BIGINT"),
    "dataset": Column(("task", "dataset")),
    "source": Column(("task", "source")),
    "target": Column(("task", "target")),
    "split": Column(("config", "dataset", "split")),
    "encoding": Column(("task", "encoding", "name")),
    "backbone": Column(("config", "model", "backbone")),
    "pretrained": Column(("config", "model", "pretrained"), "BOOLEAN"),
    "image_size": Column(("config", "model", "image_size"), "BIGINT"),
    **{name: Column(("metrics", name), "DOUBLE") for name in SCORES},
    "source_accuracy": Column(("metrics", "source_accuracy"), "DOUBLE"),
    **{f"source_only_{name}": Column(("baselines", "source-only", name), "DOUBLE") for name in SCORES},
    "validator": Column(("selection", "validator")),
    "chosen_epoch": Column(("selection", "chosen_epoch"), "BIGINT"),
    "regret": Column(("selection", "regret"), "DOUBLE"),
    **{name: Column(("cost", name), "DOUBLE") for name in ("wall_s", "peak_memory_mb", "trained_parameters")},
    "config_digest": Column(("config_digest",)),
    "task_fingerprint": Column(("task", "fingerprint")),
    "source_weights_sha256": Column(("source", "weights_sha256")),
    "sfda_kit_version": Column(("versions", "sfda-kit")),
    "torch_version": Column(("versions", "torch")),
    "timm_version": Column(("versions", "timm")),
    "oracle": Column(("oracle",), "BOOLEAN"),
    "synthetic": Column(("synthetic",), "BOOLEAN"),
    "started": Column(("started",), "TIMESTAMP"),
    "finished": Column(("finished",), "TIMESTAMP"),
}
"""What every record has, or may have; further figures of the records at hand are added to these."""

HISTORY: dict[str, Column] = {
    "phase": Column(("phase",)),
    "epoch": Column(("epoch",), "BIGINT"),
    "wall_s": Column(("wall_s",), "DOUBLE"),
    **{name: Column(("metrics", name), "DOUBLE") for name in SCORES},
    "entropy": Column(("signals", "entropy"), "DOUBLE"),
    "source_agreement": Column(("signals", "source_agreement"), "DOUBLE"),
    "churn": Column(("signals", "churn"), "DOUBLE"),
    "histogram": Column(("signals", "histogram"), "BIGINT[]"),
}

PREDICTIONS: dict[str, str] = {
    "part": "VARCHAR",
    "name": "VARCHAR",
    "group": "BIGINT",
    "label": "VARCHAR",
    "prediction": "VARCHAR",
    "source_only_prediction": "VARCHAR",
    "probabilities": "FLOAT[]",
}


def run_columns(figures: Mapping[str, Iterable[str]]) -> dict[str, Column]:
    """``RUNS`` and every figure of ``figures``: keys of ``metrics``, ``cost`` and ``baselines/NAME``."""
    columns = dict(RUNS)
    for group, names in figures.items():
        section, _, model = group.partition("/")
        prefix = f"{model.replace('-', '_')}_" if model else ""
        for name in names:
            pointer = (section, model, name) if model else (section, name)
            columns.setdefault(prefix + name, Column(pointer, "DOUBLE"))
    return columns


def history_columns(figures: Mapping[str, Iterable[str]]) -> dict[str, Column]:
    """``HISTORY`` and every figure: keys of ``metrics`` and, where they are numbers, of ``signals``."""
    columns = dict(HISTORY)
    for section, names in figures.items():
        for name in names:
            columns.setdefault(name, Column((section, name), "DOUBLE"))
    return columns


def read_columns(columns: Mapping[str, Column], json: str, others: str, table: str) -> str:
    """SQL that selects ``others`` and ``columns``, read from the column ``json`` of ``table``.

    A value of another type than expected is NULL. All values of a row are extracted by one call, which
    parses its JSON once: thirty times faster than a call a column.
    """
    places = ", ".join(literal(pointer(column.pointer)) for column in columns.values())
    cast = ", ".join(
        f"TRY_CAST(found[{number}] AS {column.type}) AS {identifier(name)}"
        for number, (name, column) in enumerate(columns.items(), start=1)
    )
    extracted = f"SELECT {others}, json_extract_string({json}, [{places}]) AS found FROM {table}"
    return f"SELECT {others}, {cast} FROM ({extracted})"


def pointer(keys: Iterable[str]) -> str:
    """JSON pointer (RFC 6901), which can name any key."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def identifier(name: str) -> str:
    """``name`` quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
