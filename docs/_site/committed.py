"""The committed results of ``benchmarks/``: every figure of the documentation is read here."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
MAIN_NETWORKS = {"nyu-objects": "tf_efficientnet_lite0"}
"""The network that is meant where a suite has several and none is named."""


def suite_and_network(name: str) -> tuple[str, str]:
    """Return the suite and the network that ``SUITE`` or ``SUITE/NETWORK`` means; "" for every network."""
    suite, _, network = name.partition("/")
    return suite, network or MAIN_NETWORKS.get(suite, "")


def find(file: Path, column: str, value: Any) -> dict[str, Any]:
    """Return the first row of a table that has ``value`` in ``column``."""
    return next(row for row in read_csv(file) if row[column] == value)


@cache
def runs(suite: str) -> list[dict[str, Any]]:
    """Return one row for each finished run of a suite (``SUITE/NETWORK``: of one network of it).

    They come from its ``runs.csv`` or from its records.
    Of records only those of methods as they are: no controls with shuffled pairs, no variants with other options.
    """
    table = RESULTS / suite / "runs.csv"
    if table.exists():
        return [row for row in read_csv(table) if row["status"] == "ok"]
    return [
        {"method": one["method"], "seed": one["seed"], "target": one["task"]["target"], **one["metrics"], **one["cost"]}
        for _, one in _records(suite)
    ]


def last_signals(suite: str, method: str) -> list[dict[str, Any]]:
    """Return the label-free signals after the last epoch of each run of a method as it is, from records alone."""
    return [
        json.loads((folder / "history.json").read_bytes())[-1]["signals"]
        for folder, record in _records(suite)
        if record["method"] == method
    ]


def _records(suite: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folder and the record of each finished run of a method as it is."""
    suite, network = suite_and_network(suite)
    for path in sorted((RESULTS / suite / "records").glob("*/record.json")):
        record = json.loads(path.read_bytes())
        config = record["config"]
        if record["status"] == "ok" and network in ("", config["model"]["backbone"]) and _as_it_is(config):
            yield path.parent, record


def _as_it_is(config: dict[str, Any]) -> bool:
    return not (config["recipe"] or config["dataset"].get("pairs") or config["adapt"].get("initial_weights"))


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table; what reads as a number is one."""
    with path.open(newline="") as file:
        return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]


def speed(name: str) -> dict[str, Any]:
    """Return the figures of a speed benchmark."""
    found: dict[str, Any] = json.loads((BENCHMARKS / "speed" / f"{name}.json").read_bytes())
    return found


def of(suite: str, method: str, target: str, column: str = "heldout_accuracy") -> list[float]:
    """Return ``column`` of the runs of ``method``, one value for each seed; empty where it was not run."""
    return [row[column] for row in runs(suite) if row["method"] == method and row["target"] == target]


def spread(values: list[float]) -> str:
    """Return mean ± sample standard deviation with one digit, the mean alone of one value, a dash of none."""
    if not values:
        return "–"
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def middle(values: list[float]) -> float | None:
    """Return the median, None of no values."""
    return median(values) if values else None


def _number(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value
