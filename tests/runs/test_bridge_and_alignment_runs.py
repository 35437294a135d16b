"""Alignments of TI pairs, levels of the discriminator, vector-quantised and jointly trained bridges: whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sfda_kit.inference.adapted_model import load_model
from sfda_kit.results.journal import Journal

from ..conftest import last_json

ALIGNMENTS = ("ti-predictions=0.5", "ti-mmd=0.5", "ti-coral=0.5", "ti-adversarial=1")


def events(summary: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    lines = (Path(summary["run_dir"]) / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-alignment", "sfda-kit-socket")
def test_socket_with_every_alignment_but_its_own(sfda_kit, on_pairs):
    others = [text for name in ALIGNMENTS for text in ("--aligner", name)]
    summary = last_json(
        sfda_kit("run", "--method", "socket", "--aligner", "ti-features=0", *others, *on_pairs, "--json")
    )
    assert summary["status"] == "ok"
    recipe = json.loads((Path(summary["run_dir"]) / "record.json").read_text())["recipe"]
    assert set(recipe["phases"][0]["aligners"]) == {"infomax", "bn-stats", *(n.split("=")[0] for n in ALIGNMENTS)}


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_vqgan_bridges_and_tells_its_codebook(sfda_kit, on_pairs):
    codes = "recipe.bridge.options.codes=32"
    summary = last_json(sfda_kit("run", "--method", "tgmb", "--bridge", "vqgan", "--set", codes, *on_pairs, "--json"))
    assert summary["status"] == "ok"
    figures = [e["figures"] for e in events(summary, "epoch") if e["stage"] == "bridge"]
    assert len(figures) == 2
    assert all(0 < figure["codes_used"] <= 100 for figure in figures)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["pixels", "bottleneck"])
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_discriminators_level_is_an_option_of_the_bridge(sfda_kit, on_pairs, level):
    option = f"recipe.bridge.options.level={level}"
    result = sfda_kit("run", "--method", "tgmb", "--bridge", "affine", "--set", option, *on_pairs, "--json")
    assert last_json(result)["status"] == "ok"


@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_a_level_that_is_none_stops_before_any_work(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "tgkt", "--set", "recipe.bridge.options.level=deep", *on_pairs)
    assert result.exit_code == 2 and "expected one of shallow, pixels, bottleneck" in str(result.exception)
    assert not Path("runs").exists()


def outcome(summary: dict[str, Any]) -> tuple[Any, ...]:
    folder = Path(summary["run_dir"])
    history = json.loads((folder / "history.json").read_text())
    rows = [(row["epoch"], row["metrics"], row["signals"]) for row in history]
    return rows, (folder / "predictions.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("bridge", ["unet", "vqgan"])
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_joint_training_stopped_between_epochs_ends_as_if_it_was_not(sfda_kit, on_pairs, monkeypatch, bridge):
    arguments = ("run", "--method", "tgkt-joint", "--bridge", bridge, *on_pairs, "--resume", "--json")
    record = Journal.epoch

    def stopped(self: Journal, *given: object) -> None:
        record(self, *given)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopped)
        assert sfda_kit(*arguments).exit_code != 0
    resumed = sfda_kit(*arguments)
    assert "continuing after epoch 1" in resumed.stderr
    summary, whole = last_json(resumed), last_json(sfda_kit(*arguments, "--runs-dir", "undisturbed"))
    assert outcome(summary) == outcome(whole)
    stages = [event["stage"] for event in events(whole, "stage")]
    assert "bridge" not in stages and "adapt" in stages
    assert ("bridge_codes_used" in outcome(whole)[0][-1][2]) == (bridge == "vqgan")
    assert set(json.loads((Path(whole["run_dir"]) / "record.json").read_text())["baselines"]) == {"source-only"}


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_joint_training_needs_pairs(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "tgkt-joint", *on_pairs, "--set", "dataset.ti_classes=[]")
    assert result.exit_code == 2 and "--ti-classes" in str(result.exception)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket", "sfda-kit-tgkt")
def test_an_input_bridge_trained_beside_the_network_is_part_of_the_model(sfda_kit, on_pairs):
    joint = ("--bridge", "affine", "--set", "recipe.train_bridge=true")
    summary = last_json(sfda_kit("run", "--method", "socket", *joint, *on_pairs, "--json"))
    model, _ = load_model(Path(summary["run_dir"]))
    assert not torch.equal(model.input_bridge.mix.weight[:, :, 0, 0], torch.eye(3))
