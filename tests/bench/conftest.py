"""A suite of tiny cells on the small paired data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import yaml

from sfda_kit.bench import local
from sfda_kit.bench.cell import execute
from sfda_kit.errors import SfdaKitError
from sfda_kit.interfaces.executor import Job, Outcome

SETTINGS: dict[str, Any] = {
    "model": {"image_size": 32},
    "source": {"epochs": 2, "floor": 0},
    "adapt": {"epochs": 2, "batch_size": 16},
    "compute": {"pictures": False},
}


ALONE = Lock()


def cell_here(job: Job, *_: object) -> Outcome:
    """Run a cell in this process, which has torch already, one after the other."""
    try:
        with ALONE:
            execute(job)
    except SfdaKitError as error:
        return Outcome(job.key, f"{type(error).__name__}: {error}")
    return Outcome(job.key)


@pytest.fixture
def cells_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells run in this process: a process of its own takes seconds."""
    monkeypatch.setattr(local, "run_job", cell_here)


@pytest.fixture
def suite_file(pairs_root: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a suite on the small data set; keyword arguments replace its keys."""

    def write(**changes: Any) -> Path:
        dataset = {
            "name": "paired-folder",
            "root": str(pairs_root),
            "tr_classes": ["bar", "disc", "ring", "cross"],
            "ti_classes": ["corner", "stripe"],
        }
        suite: dict[str, Any] = {
            "name": "tiny",
            "version": 1,
            "title": "tiny cells",
            "settings": {**SETTINGS, "dataset": dataset},
            "tasks": {"to depth": {"dataset": {"source": "rgb@cam", "target": "depth@cam"}}},
            "methods": ["source-only", "shot-im"],
            "models": ["test_resnet"],
            "seeds": [0],
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({**suite, **changes}, sort_keys=False))
        return path

    return write
