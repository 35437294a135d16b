"""``--evaluate last`` reads held-out images once, with the result of ``every``; ``--profile`` tells the time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfda_kit.evaluate.evaluation import Evaluator
from sfda_kit.results.record import read_history, read_record

from ..conftest import last_json

pytestmark = [pytest.mark.slow, pytest.mark.needs_plugin("sfda-kit-shot")]
SMALL = ("--method", "shot", "--backbone", "test_resnet", "--image-size", "32", "--source-floor", "0")
SHORT = (*SMALL, "--source-epochs", "1", "--epochs", "3")


def run(sfda_kit, on_pairs, runs_dir, *options: str) -> Path:
    return Path(last_json(sfda_kit("run", *on_pairs, *SHORT, "--json", "--runs-dir", runs_dir, *options))["run_dir"])


def test_held_out_images_are_read_once(sfda_kit, on_pairs, tmp_path, monkeypatch):
    passes = []
    fill = Evaluator._fill
    monkeypatch.setattr(Evaluator, "_fill", lambda self, model, part: passes.append(part) or fill(self, model, part))
    every = run(sfda_kit, on_pairs, tmp_path)
    assert passes == ["heldout"] * 4  # the source model, and three epochs
    passes.clear()
    last = run(sfda_kit, on_pairs, tmp_path, "--evaluate", "last", "--profile")
    assert passes == ["heldout"] * 2

    first, second = read_record(every), read_record(last)
    assert first.metrics == second.metrics
    assert first.selection.oracle is not None and second.selection.oracle is None and second.selection.regret is None
    kept = [row["metrics"] for row in read_history(last)]
    assert all(row["transductive_accuracy"] >= 0 and "heldout_accuracy" not in row for row in kept)
    signals = [[row["signals"]["validators"] for row in read_history(folder)] for folder in (every, last)]
    assert signals[0] == signals[1]
    assert second.cost["epoch_s"] > 0

    trace = json.loads((last / "profile-adapt.json").read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert {"sfda-kit: images", "sfda-kit: network, target", "sfda-kit: backward pass"} <= names


def test_the_profile_is_a_table(sfda_kit, on_pairs, tmp_path):
    shown = sfda_kit("run", *on_pairs, *SHORT, "--runs-dir", tmp_path, "--profile").output
    assert "an epoch of adapt" in shown and "backward pass" in shown and "profile-adapt.json" in shown
    again = sfda_kit("run", *on_pairs, *SHORT, "--runs-dir", tmp_path, "--profile", "--resume").output
    assert "no profile, because no epoch was computed" in again
