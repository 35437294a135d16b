"""Run folders made up for tests: a record, and predictions of which one says which are right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sfda_kit.config.merging import merge
from sfda_kit.leaderboard import Board, BoardRow, TaskTable, build_board
from sfda_kit.results.collection import load_runs

CLASSES = ("bed", "chair")
IMAGES = 60
GROUPS = 20


def right(share: float, seed: int = 0, images: int = IMAGES) -> np.ndarray:
    """Which predictions are right: ``share`` of them, others with another ``seed``."""
    order = np.random.default_rng(seed).permutation(images)
    return order < round(share * images)


def write_run(
    root: Path,
    method: str = "shot",
    seed: int = 0,
    correct: Sequence[bool] | np.ndarray | None = None,
    source_correct: Sequence[bool] | np.ndarray | None = None,
    groups: Sequence[int] | np.ndarray | None = None,
    name: str | None = None,
    predictions: bool = True,
    **changes: Any,
) -> Path:
    """Write a run folder; ``changes`` are merged into its record. ``correct`` is of both parts."""
    correct = right(0.5, seed) if correct is None else np.asarray(correct)
    source_correct = right(0.3, 100 + seed, len(correct)) if source_correct is None else np.asarray(source_correct)
    groups = np.arange(len(correct)) % GROUPS if groups is None else np.asarray(groups)
    run_id = name or f"{method}-s{seed}-{len(list(root.glob('*'))):03d}"
    folder = root / run_id
    folder.mkdir(parents=True)
    labels = np.arange(len(correct)) // 2 % 2
    if predictions:
        write_predictions(folder, labels, correct, source_correct, groups)
    record = merge(made_record(run_id, method, seed, scores(labels, correct), scores(labels, source_correct)), changes)
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def write_predictions(folder: Path, labels: np.ndarray, correct: np.ndarray, source: np.ndarray, groups: Any) -> None:
    names = np.array(CLASSES)
    tables = [
        pa.table(
            {
                "part": [part] * len(labels),
                "name": [f"{part}-{number}" for number in range(len(labels))],
                "group": groups.tolist(),
                "label": names[labels].tolist(),
                "prediction": names[np.where(correct, labels, 1 - labels)].tolist(),
                "source_only_prediction": names[np.where(source, labels, 1 - labels)].tolist(),
                "probabilities": [[0.5, 0.5]] * len(labels),
            }
        )
        for part in ("transductive", "heldout")
    ]
    pq.write_table(pa.concat_tables(tables), folder / "predictions.parquet")


def scores(labels: np.ndarray, correct: np.ndarray) -> dict[str, float]:
    plain = 100.0 * float(np.mean(correct))
    by_class = 100.0 * float(np.mean([np.mean(correct[labels == k]) for k in np.unique(labels)]))
    return {
        f"{part}_{name}": value
        for part in ("transductive", "heldout")
        for name, value in (("accuracy", plain), ("mean_class_accuracy", by_class), ("calibration_error", 5.0))
    }


def made_record(
    run_id: str, method: str, seed: int, metrics: dict[str, float], baseline: dict[str, float]
) -> dict[str, Any]:
    model = {"backbone": "resnet10t", "pretrained": False, "bottleneck": 256, "image_size": 64}
    return {
        "run_id": run_id,
        "status": "ok",
        "method": method,
        "run_dir": f"/home/somebody/runs/{run_id}",
        "oracle": method == "oracle",
        "seed": seed,
        "task": {
            "dataset": "rooms",
            "source": "rgb@a",
            "target": "depth@b",
            "classes": list(CLASSES),
            "ti_classes": ["lamp"],
            "images": {"target-test": IMAGES},
            "split_seed": 0,
            "encoding": {"name": "copy", "options": {}},
            "fingerprint": "f" * 16,
        },
        "metrics": metrics | {"source_accuracy": 90.0 + seed},
        "baselines": {"source-only": baseline},
        "cost": {"wall_s": 10.0 + seed, "peak_memory_mb": 100.0, "trained_parameters": 5.0},
        "source": {"model": model, "weights_sha256": f"{seed:064x}"},
        "config": {
            "method": method,
            "seed": seed,
            "dataset": {"name": "rooms", "root": "/home/somebody/data", "source": "rgb@a", "target": "depth@b"},
            "encoding": {"name": "copy", "options": {}},
            "model": model,
            "source": {"epochs": 14, "card": None},
            "adapt": {"epochs": 10, "lr": 0.01},
            "compute": {"device": "auto"},
            "recipe": {},
        },
        "recipe": {"input_bridge": {"name": "copy"}, "phases": []},
        "track": [],
        "versions": {"sfda-kit": "0.1.0", "torch": "2.15.0", "numpy": "2.0"},
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
    }


def board(root: Path, metric: str = "heldout_accuracy") -> Board:
    return build_board(load_runs([root]), metric)


def only_table(root: Path, metric: str = "heldout_accuracy") -> TaskTable:
    (table,) = board(root, metric).tables
    return table


def row(table: TaskTable, label: str) -> BoardRow:
    (found,) = [row for row in table.rows if row.label == label]
    return found


def kinds(found: BoardRow) -> list[str]:
    return [mark.kind for mark in found.marks]
