"""Small data sets, large batches, and backbones of other families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import last_json

pytestmark = pytest.mark.slow


def run(sfda_kit, *arguments: str) -> dict:
    summary = last_json(sfda_kit("run", *arguments, "--json"))
    assert summary["status"] == "ok"
    return json.loads((Path(summary["run_dir"]) / "record.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("size", [40, 500])
@pytest.mark.parametrize("method", ["tgkt", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_a_batch_may_be_larger_than_the_target_set_or_the_pairs(sfda_kit, on_pairs, method, size):
    sizes = (f"adapt.batch_size={size}", f"bridge_training.batch_size={size}", f"source.batch_size={size}")
    record = run(sfda_kit, "--method", method, *on_pairs, *(text for one in sizes for text in ("--set", one)))
    images = record["task"]["images"]
    assert images["target-train"] < size and (size < 500 or images["ti"] < size)


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext"])
@pytest.mark.parametrize("method", ["shot", "tgkt"])
@pytest.mark.needs_plugin(of="method")
def test_a_backbone_without_batch_norm(sfda_kit, on_pairs, method, backbone):
    record = run(sfda_kit, "--method", method, *on_pairs, "--backbone", backbone)
    assert record["source"]["model"]["backbone"] == backbone


@pytest.mark.needs_plugin("sfda-kit-socket")
def test_a_network_without_bottleneck(sfda_kit, on_pairs):
    record = run(sfda_kit, "--method", "socket", *on_pairs, "--set", "model.bottleneck=0")
    assert record["source"]["model"]["bottleneck"] == 0


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_copy_as_the_teachers_bridge_is_no_bridge_to_train(sfda_kit, on_pairs):
    record = run(sfda_kit, "--method", "tgkt", *on_pairs, "--teacher-bridge", "copy")
    assert set(record["baselines"]) == {"source-only"}
