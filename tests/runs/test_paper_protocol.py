"""A run in the transductive protocol of published tables: nothing is held out, and nothing says it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from sfda_kit.config.loading import load_config
from sfda_kit.events import silent
from sfda_kit.runs.labelled import run_plan
from sfda_kit.runs.plan import plan_run

SMALL = {
    "model": {"backbone": "test_resnet", "image_size": 32, "bottleneck": 8},
    "source": {"epochs": 1, "batch_size": 16, "floor": 0},
    "compute": {"device": "cpu", "threads": 1, "pictures": False},
}
ROOMS = {"name": "rooms", "options": {"scenes": 0.03}, "minimum_images": 1, "protocol": "paper"}


@pytest.mark.slow
def test_a_run_of_the_paper_protocol_is_scored_packed_and_verified(
    tmp_path: Path, sfda_kit: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    from sfda_kit.submissions import sandbox, verify

    monkeypatch.setattr(sandbox, "verify_in_sandbox", lambda data, rules, timeout: verify.verify(data, rules))
    config = load_config({"method": "source-only", "dataset": ROOMS, **SMALL})
    record = run_plan(plan_run(config), tmp_path / "runs", False, silent)
    assert record.task["protocol"] == "paper" and record.task["images"]["target-test"] == 0
    scores = [*record.metrics, *record.baselines["source-only"]]
    assert "transductive_mean_class_accuracy" in scores and not any("heldout" in name for name in scores)
    (folder,) = (tmp_path / "runs").iterdir()
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    assert set(table["part"]) == {"transductive"} and {len(row) for row in table["logits"]} == {
        len(set(table["label"]))
    }
    packed = sfda_kit("leaderboard", "pack", folder, "--out", tmp_path / "mine.zip", "--submitter", "Ada")
    assert packed.exit_code == 0, packed.output
    checked = sfda_kit("leaderboard", "verify", tmp_path / "mine.zip")
    assert checked.exit_code == 0, checked.output
