"""A run of a few seconds on synthetic scenes, and what it leaves: the valid inputs that are damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sfda_kit.config.loading import load_config
from sfda_kit.results.record import Record
from sfda_kit.runs.labelled import run

SETTINGS: dict[str, Any] = {
    "dataset": {"name": "rooms", "target": "depth@kv1", "options": {"scenes": 0.05}, "minimum_images": 1},
    "model": {"backbone": "test_resnet", "image_size": 32, "bottleneck": 16},
    "source": {"epochs": 2, "floor": 0, "batch_size": 16},
    "bridge_training": {"epochs": 1, "batch_size": 16},
    "adapt": {"epochs": 3, "batch_size": 16, "steps_per_epoch": 3},
    "compute": {"threads": 1},
}


def small_run(runs: Path, resume: bool = False, method: str = "tgkt") -> Record:
    """Run the method, or continue it."""
    return run(load_config({"method": method, **SETTINGS}), runs_dir=runs, resume=resume)


def result_of(runs: Path) -> dict[str, Any]:
    """Return what must be the same however often a run was stopped: metrics, predictions and weights."""
    (record,) = (path for path in runs.glob("*/record.json") if json.loads(path.read_text())["status"] == "ok")
    told = json.loads(record.read_text())
    files = ("predictions.parquet", "model/model.safetensors")
    hashes = {name: hashlib.sha256((record.parent / name).read_bytes()).hexdigest() for name in files}
    return {"metrics": told["metrics"], "weights": told["source"]["weights_sha256"], **hashes}
