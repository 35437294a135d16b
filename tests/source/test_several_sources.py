"""Several source cards through the command line: run, adapt, predict, export, resume, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sfda_kit.config.loading import load_config
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.models.mixture import Mixture
from sfda_kit.results.journal import Journal
from sfda_kit.source.source_card import SourceCard, load_card
from sfda_kit.source.source_cards import load_joint_card
from sfda_kit.source.source_models import load_joint_source_model, load_source_model, save_source

from ..conftest import TI, TR, last_json
from ..folders import SIDE, write_card, write_folders

BOTH = ("--source-card", "A", "--source-card", "B")


def other_card(folder: Path, seed: int = 1, **changes: Any) -> SourceCard:
    """A card of another random network, with ``changes`` in what it says."""
    write_card(folder, seed=seed)
    network, card = load_source_model(folder)
    return save_source(network, card.model_copy(update=changes), folder)


@pytest.fixture
def cards(private_home: Path) -> Path:
    """``A`` and ``B`` of the same classes, in another order, with another normalisation."""
    write_card(Path("A"))
    other_card(Path("B"), classes=tuple(reversed(TR)), mean=(0.4, 0.5, 0.6), std=(0.3, 0.4, 0.5))
    return private_home


@pytest.fixture
def run(sfda_kit, cards: Path, pairs_root: Path) -> Callable[..., Any]:
    """A quick ``sfda-kit run`` on the small data set; the whole result."""
    data = ["--dataset", "paired-folder", "--data-root", str(pairs_root), "--source", "rgb@cam"]
    classes = ["--target", "depth@cam", "--tr-classes", ",".join(TR), "--ti-classes", ",".join(TI)]
    loop = ["--epochs", "2", "--batch-size", "16", "--resume", "--json"]
    return lambda method, *more: sfda_kit("run", "--method", method, *data, *classes, *loop, *more)


def run_dir(result: Any) -> Path:
    if result.exit_code:
        raise result.exception
    return Path(last_json(result)["run_dir"])


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def refusal(result: Any) -> str:
    assert result.exit_code == 2
    return str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["shot", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_a_run_tells_its_cards_and_learned_weights_and_its_model_predicts(run, sfda_kit, pairs_root, method):
    result = run(method, *BOTH)
    folder = run_dir(result)
    record, history = read(folder, "record.json"), read(folder, "history.json")
    assert record["config"]["source"]["card"] == ["A", "B"]
    stated = [member["weights_sha256"] for member in record["source"]["members"]]
    assert stated == [load_card(Path(name)).weights_sha256 for name in "AB"]
    weights = [[row["signals"][f"alpha_{number}"] for number in (1, 2)] for row in history]
    assert all(sum(pair) == pytest.approx(1) for pair in weights)
    assert weights[-1] == record["source"]["mixing"] and weights[0] != weights[1]
    assert f"source models mixed with weights {weights[-1][0]:.2f}, {weights[-1][1]:.2f}" in result.output
    model, card = load_model(folder)
    assert isinstance(model.network, Mixture) and list(card.source.mixing) == weights[-1]
    sfda_kit("export", "--run", folder, "--out", "m.safetensors")
    assert Path("m.safetensors").stat().st_size > 0
    answered = sfda_kit("predict", "--run", folder, pairs_root / "cam" / "depth" / "bar", "--depth-unit", "mm")
    rows = list(csv.DictReader(io.StringIO(answered.stdout)))
    assert len(rows) == 24 and {row["class"] for row in rows} <= set(TR)


@torch.no_grad()
def test_at_first_the_mixture_is_the_mean_of_the_source_models(cards):
    network, card = load_joint_source_model([Path("A"), Path("B")])
    one, other = load_source_model(Path("A"))[0], load_source_model(Path("B"))[0]
    in_units = torch.rand(4, 3, SIDE, SIDE)
    for_a, for_b = (
        (in_units - torch.tensor(c.mean)[:, None, None]) / torch.tensor(c.std)[:, None, None]
        for c in (load_card(Path("A")), load_card(Path("B")))
    )
    assert (card.classes, card.mean, card.std) == (TR, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    expected = (one(for_a).logits.softmax(1) + other(for_b).logits.softmax(1).flip(1)) / 2
    torch.testing.assert_close(network(for_a).logits.softmax(1), expected)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_one_card_in_a_list_is_the_run_of_that_card(run):
    single = run_dir(run("shot", "--source-card", "A"))
    assert run_dir(run("shot", "--set", "source.card=[A]")) == single
    record = read(single, "record.json")
    assert "members" not in record["source"] and "mixing" not in record["source"]
    assert record["config"]["source"]["card"] == "A"
    assert not any(name.startswith("alpha_") for name in record["signals"])


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_flags_and_settings_name_the_same_cards_and_an_exchanged_card_is_another_run(run):
    first = run_dir(run("shot", *BOTH))
    assert run_dir(run("shot", "--set", "source.card=[A,B]")) == first
    write_card(Path("B"), seed=7)
    assert run_dir(run("shot", *BOTH)) != first


@pytest.mark.slow
@pytest.mark.parametrize("method", ["shot", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_stopped_between_epochs_the_weights_continue(run, monkeypatch, method):
    record = Journal.epoch

    def stopped(self: Journal, *given: object) -> None:
        record(self, *given)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stopped)
        assert run(method, *BOTH).exit_code != 0
    resumed = run(method, *BOTH)
    assert "continuing after epoch 1" in resumed.stderr
    undisturbed = run_dir(run(method, *BOTH, "--runs-dir", "undisturbed"))
    for name in ("predictions.parquet", "model/model.safetensors"):
        assert (run_dir(resumed) / name).read_bytes() == (undisturbed / name).read_bytes()
    signals = [[row["signals"] for row in read(found, "history.json")] for found in (run_dir(resumed), undisturbed)]
    assert signals[0] == signals[1]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_folders_without_labels_adapt_and_predictions_are_those_recorded(sfda_kit, cards):
    import pyarrow.parquet as pq

    write_folders(Path())
    flags = "--target-dir target --ti-dir ti --method socket --epochs 1 --batch-size 8 --json"
    folder = run_dir(sfda_kit("adapt", *BOTH, *flags.split()))
    record = read(folder, "record.json")
    assert len(record["source"]["members"]) == 2 and sum(record["source"]["mixing"]) == pytest.approx(1)
    recorded = pq.read_table(folder / "predictions.parquet").to_pydict()
    rows = list(csv.DictReader(io.StringIO(sfda_kit("predict", "--run", folder, "target").stdout)))
    by_name = {row["path"].removeprefix("target/"): row for row in rows}
    assert [by_name[name]["class"] for name in recorded["name"]] == recorded["prediction"]
    said = [float(by_name[name]["probability"]) for name in recorded["name"]]
    assert said == pytest.approx(recorded["probability"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_onnx_answers_as_the_mixture_does(sfda_kit, cards):
    onnxruntime = pytest.importorskip("onnxruntime")
    write_folders(Path())
    flags = "--target-dir target --method shot --epochs 1 --batch-size 8 --json"
    folder = run_dir(sfda_kit("adapt", *BOTH, *flags.split()))
    assert sfda_kit("export", "--run", folder, "--format", "onnx", "--out", "m.onnx").exit_code == 0
    images = torch.randn(3, 3, SIDE, SIDE)
    (probabilities,) = onnxruntime.InferenceSession("m.onnx").run(["probabilities"], {"images": images.numpy()})
    with torch.no_grad():
        expected = load_model(folder)[0](images).logits.softmax(1)
    torch.testing.assert_close(torch.from_numpy(probabilities), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tgkt", "tgmb", "nrc", "cowa-jmds", "tent", "adabn"])
@pytest.mark.needs_plugin(of="method")
def test_other_methods_adapt_a_mixture(sfda_kit, cards, method):
    write_folders(Path())
    flags = f"--target-dir target --ti-dir ti --method {method} --epochs 1 --bridge-epochs 1 --batch-size 8 --json"
    folder = run_dir(sfda_kit("adapt", *BOTH, *flags.split()))
    assert isinstance(load_model(folder)[0].network, Mixture)


@pytest.mark.needs_plugin(of="method")
@pytest.mark.parametrize(
    ("method", "words"), [("t3a", ("have one each", "tent")), ("pair-map", ("own each", "socket"))]
)
def test_a_method_for_one_classifier_refuses_several_before_any_work(sfda_kit, cards, method, words):
    write_folders(Path())
    said = refusal(sfda_kit("adapt", *BOTH, "--target-dir", "target", "--method", method))
    assert "several source models" in said and all(word in said for word in words)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": (*TR[:3], "star")}, ["B knows other classes than A", "lacks cross", "star besides"]),
        ({"classes": (*TR, "star")}, ["B knows other classes than A", "star besides"]),
        ({"image_size": 64}, ["B takes images of 64 px, A of 32 px", "one image size"]),
    ],
)
def test_cards_that_do_not_fit_are_refused_before_any_work(run, changes, words):
    card = load_card(Path("B"))
    if "image_size" in changes:
        changes = {"model": card.model.model_copy(update=changes)}
    network, _ = load_source_model(Path("B"))
    save_source(network, card.model_copy(update=changes), Path("B"))
    said = refusal(run("shot", *BOTH))
    assert all(word in said for word in words)
    assert not Path("runs").exists()


def test_the_same_card_twice_is_refused_under_any_name(run):
    assert "The source card A is given twice" in refusal(run("shot", "--source-card", "A", "--source-card", "A"))
    write_card(Path("copy"))
    said = refusal(run("shot", "--source-card", "A", "--source-card", "copy"))
    assert "The source card A is the same as copy" in said


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_weak_source_model_is_named(sfda_kit, cards):
    write_folders(Path())
    other_card(Path("weak"), seed=3, accuracy=30.0)
    result = sfda_kit(
        "adapt", "--source-card", "A", "--source-card", "weak", "--target-dir", "target", "--method", "shot"
    )
    assert "The source model weak has 30.0 %" in str(result.exception)


def test_no_card_in_a_list_is_refused(run):
    assert "source.card: expected a card, or several" in refusal(run("shot", "--set", "source.card=[]"))


def test_another_network_than_that_of_the_cards_is_refused(run):
    said = refusal(run("shot", *BOTH, "--backbone", "resnet10t"))
    assert "'resnet10t'" in said and "A + B holds a network with 'test_resnet+test_resnet'" in said


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket")
def test_a_member_of_another_modality_takes_part_and_is_told_of(run):
    other_card(Path("B"), modality="nir")
    record = read(run_dir(run("socket", *BOTH)), "record.json")
    assert any(
        "source model 2 was trained on nir" in notice and "shown rgb images" in notice for notice in record["notices"]
    )
    assert "was trained on nir; the source of this task is rgb" in refusal(
        run("shot", "--source-card", "B", "--source-card", "A")
    )


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_record_is_published_without_paths_and_passes_its_checks(run, cards):
    from sfda_kit.results.record import Record
    from sfda_kit.submissions.checks import wrong_facts
    from sfda_kit.submissions.redaction import public_record
    from sfda_kit.submissions.schema import check_facts

    given = ("--source-card", str(cards / "A"), "--source-card", str(cards / "B"))
    record = public_record(Record.model_validate(read(run_dir(run("shot", *given)), "record.json")))
    assert record.config["source"]["card"] == ["A", "B"]
    assert not [problem for problem in wrong_facts(check_facts(record)) if "source" in problem]


def test_a_single_card_and_settings_without_mixing_keep_their_digests():
    write_card(Path("A"))
    assert not {"members", "mixing"} & set(json.loads(Path("A/card.json").read_text()))
    plain = load_config({"method": "shot"})
    assert "mixing_lr_factor" not in plain.model_dump()["adapt"]
    changed = load_config({"method": "shot", "adapt": {"mixing_lr_factor": 2}})
    assert changed.model_dump()["adapt"]["mixing_lr_factor"] == 2 and changed.digest() != plain.digest()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket")
def test_networks_of_several_kinds_are_mixed(sfda_kit, cards):
    """Another backbone, without a bottleneck."""
    from sfda_kit.config.models import ModelConfig
    from sfda_kit.models.network import build_network

    write_folders(Path())
    torch.manual_seed(3)
    model = ModelConfig(backbone="test_vit", image_size=SIDE, bottleneck=0)
    save_source(build_network(model, len(TR)), load_card(Path("A")).model_copy(update={"model": model}), Path("V"))
    assert load_joint_card([Path("A"), Path("V")]).model.backbone == "test_resnet+test_vit"
    flags = "--target-dir target --ti-dir ti --epochs 1 --batch-size 8 --json"
    for method in ("shot", "socket"):
        folder = run_dir(
            sfda_kit("adapt", "--source-card", "A", "--source-card", "V", "--method", method, *flags.split())
        )
        assert isinstance(load_model(folder)[0].network, Mixture)
