"""One small whole run of each shipped method: it ends well, and leaves a record, predictions and a model."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sfda_kit.inference.adapted_model import load_model
from sfda_kit.plugins.discovery import registry

from ..conftest import TR, last_json
from ..folders import write_card

# imagenet-head needs weights with a classifier: tests/evaluate/test_imagenet_head.py runs it
METHODS = [
    part.name
    for part in registry().of_kind("method")
    if part.owner.startswith("sfda-kit") and part.name != "imagenet-head"
]


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_run(sfda_kit, on_pairs: list[str], tmp_path: Path, method: str) -> None:
    write_card(tmp_path / "card")
    card = ["--source-card", tmp_path / "card", "--epochs", "1", "--bridge-epochs", "1", "--json"]
    without_model = [word for word in on_pairs if word not in ("--backbone", "test_resnet", "--image-size", "32")]
    result = sfda_kit("run", "--method", method, *without_model, *card)
    assert result.exit_code == 0, result.exception
    summary = last_json(result)
    run_dir = Path(summary["run_dir"])
    assert summary["status"] == "ok" and json.loads((run_dir / "record.json").read_text())["method"] == method
    assert 0 <= summary["metrics"]["heldout_accuracy"] <= 100
    assert set(pq.read_table(run_dir / "predictions.parquet")["label"].to_pylist()) <= set(TR)
    assert load_model(run_dir)[1].method == method
