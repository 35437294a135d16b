"""Every method of sfda-kit-tta, sfda-kit-neighbors and sfda-kit-plue, and SHOT++, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from sfda_kit.config.models import ModelConfig
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.inference.predictor import predict
from sfda_kit.models.network import build_network
from sfda_kit.source.source_card import SourceCard
from sfda_kit.source.source_models import load_source_model, save_source

from ..conftest import TI, TR, last_json

ONLINE = ("tent", "t3a")
METHODS = ("adabn", *ONLINE, "nrc", "aad", "cowa-jmds", "plue", "shot-plus-plus")
SIDE = 32


@pytest.fixture
def adapt(sfda_kit, pairs_root: Path, tmp_path: Path) -> Callable[..., Path]:
    """Run a method on a random source network of a given backbone; its run folder."""

    def run(method: str, backbone: str = "test_resnet", *more: str, bottleneck: int = 16) -> Path:
        card = tmp_path / f"{backbone}-{bottleneck}"
        write_random(card, backbone, bottleneck)
        data = ["--dataset", "paired-folder", "--data-root", str(pairs_root), "--source", "rgb@cam"]
        classes = ["--target", "depth@cam", "--tr-classes", ",".join(TR), "--ti-classes", ",".join(TI)]
        loop = ["--epochs", "2", "--batch-size", "16", "--source-card", str(card), "--json", *more]
        result = sfda_kit("run", "--method", method, *data, *classes, *loop)
        if result.exit_code:
            raise result.exception
        summary = last_json(result)
        assert summary["status"] == "ok"
        return Path(summary["run_dir"])

    return run


def write_random(folder: Path, backbone: str, bottleneck: int) -> None:
    """A source card with a network of spread random weights."""
    torch.manual_seed(0)
    model = ModelConfig(backbone=backbone, image_size=SIDE, bottleneck=bottleneck)
    network = build_network(model, len(TR), pretrained=False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    third = (0.5, 0.5, 0.5)
    fields = {"modality": "rgb", "encoding": {"name": "copy"}, "mean": third, "std": third, "accuracy": 90.0}
    save_source(network, SourceCard.model_validate({"model": model, "classes": TR, **fields}), folder)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.needs_plugin(of="method")
def test_runs_is_recorded_and_saves_what_it_adapted(adapt, tmp_path: Path, method: str) -> None:
    run_dir = adapt(method)
    history = json.loads((run_dir / "history.json").read_text())
    online_or_single = method in ("adabn", *ONLINE)
    phases = ("rotation-head", "adapt", "labeling-transfer") if method == "shot-plus-plus" else ("adapt",)
    expected = [(method, 1)] if online_or_single else [(phase, epoch) for phase in phases for epoch in (1, 2)]
    assert [(row["phase"], row["epoch"]) for row in history] == expected
    assert all(0 <= row["metrics"]["heldout_accuracy"] <= 100 for row in history)
    model, card = load_model(run_dir)
    assert card.method == method
    assert model(torch.randn(1, 3, SIDE, SIDE)).logits.isfinite().all()  # a single image has an answer
    source = load_source_model(tmp_path / "test_resnet-16")[0].state_dict()
    assert any(not torch.equal(value, source[name]) for name, value in model.network.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["adabn", "tent", "t3a", "nrc", "cowa-jmds", "plue", "shot-plus-plus"])
@pytest.mark.needs_plugin(of="method")
def test_networks_without_a_bottleneck_adapt(adapt, method: str) -> None:
    more = () if method in ("adabn", *ONLINE) else ("--set", "recipe.train=backbone")
    if method == "shot-plus-plus":
        more = ("--set", "recipe.phases.adapt.train=backbone")
    adapt(method, "test_resnet", *more, bottleneck=0)


@pytest.mark.needs_plugin("sfda-kit-tta")
def test_adabn_refuses_a_backbone_without_batch_norm_before_any_work(adapt) -> None:
    with pytest.raises(Exception, match=r"adabn replaces the BatchNorm statistics.*method tent"):
        adapt("adabn", "test_vit")
    assert not Path("runs").exists()


@pytest.mark.needs_plugin("sfda-kit-tta")
def test_a_misspelt_option_is_named_before_any_work(adapt) -> None:
    with pytest.raises(Exception, match=r"'tent' has no option 'pases'.*passes"):
        adapt("tent", "test_resnet", "--set", "recipe.options.pases=2")
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("bottleneck", [16, 0])
@pytest.mark.needs_plugin("sfda-kit-alignment")
def test_what_pair_map_saves_answers_as_the_run_recorded(adapt, pairs_root: Path, bottleneck: int) -> None:
    run_dir = adapt("pair-map", "test_resnet", "--set", "recipe.options.form=residual", bottleneck=bottleneck)
    recorded = [row for row in pq.read_table(run_dir / "predictions.parquet").to_pylist() if row["part"] == "heldout"]
    told = {Path(row["name"]).stem: (row["prediction"], max(row["probabilities"])) for row in recorded}
    found = {path.stem: path for path in (pairs_root / "cam" / "depth").rglob("*.png")}
    for answer in predict(run_dir, [found[stem] for stem in told]):
        label, probability = told[Path(answer.path).stem]
        assert answer.label == label and answer.probability == pytest.approx(probability, abs=1e-4)
    assert "pair-map takes the form residual" in (run_dir / "events.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("method", ONLINE)
@pytest.mark.needs_plugin(of="method")
def test_online_methods_say_what_is_scored(adapt, method: str) -> None:
    text = (adapt(method) / "events.jsonl").read_text()
    assert "transductive figures are those of the answers given during the pass" in text


@pytest.mark.parametrize("method", ["nrc", "aad", "plue"])
@pytest.mark.needs_plugin(of="method")
def test_too_few_images_for_the_neighbours_asks_for_fewer(adapt, method: str) -> None:
    part = {"nrc": "reciprocal-neighbors", "aad": "attraction", "plue": "guided-labels"}[method]
    with pytest.raises(Exception, match=rf"{part}.options.neighbors is 500, and (with|the bank has)"):
        adapt(method, "test_resnet", "--set", f"recipe.aligners.{part}.options.neighbors=500")
