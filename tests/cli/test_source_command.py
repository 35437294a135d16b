"""``sfda-kit source train | show | import`` as a user calls them, and ``sfda-kit data``."""

from __future__ import annotations

import json
import pickle
from argparse import Namespace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from sfda_kit.config.loading import load_config
from sfda_kit.source.source_card import load_card
from sfda_kit.source.source_models import load_source_model

from ..conftest import TR, last_json
from ..folders import SIDE, rewrite_card, write_card, write_folders

pytestmark = pytest.mark.slow

CLASSES = ("ant", "bee", "cat")
IMPORT = ("--classes", ",".join(CLASSES), "--image-size", str(SIDE))


def classifier(name: str = "test_resnet", **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=len(CLASSES), **options).eval()


def images() -> torch.Tensor:
    return torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def refusal(result) -> str:
    assert result.exit_code == 2
    return str(result.exception)


def folder_of(result) -> Path:
    assert result.exit_code == 0
    return Path(result.stdout.strip().splitlines()[-1])


@pytest.fixture
def source(sfda_kit):
    return lambda *arguments: sfda_kit("source", *arguments)


@pytest.fixture
def take_in(source):
    return lambda path, *more, backbone="test_resnet": source("import", path, "--backbone", backbone, *IMPORT, *more)


def test_train_makes_the_card_that_a_run_then_finds(sfda_kit, source, on_pairs):
    kept = on_pairs.index("--epochs")
    flags = [*on_pairs[:kept], "--source-epochs", "4"]
    folder = folder_of(source("train", *flags, "--out", "mine"))
    assert folder == Path("mine") and sorted(p.name for p in folder.iterdir()) == ["card.json", "model.safetensors"]
    assert load_card(folder).classes == TR
    cached = folder_of(source("train", *flags))
    assert load_card(cached) == load_card(folder)
    summary = last_json(sfda_kit("run", "--method", "source-only", *on_pairs, "--json"))
    record = json.loads((Path(summary["run_dir"]) / "record.json").read_text())
    assert record["source"]["weights_sha256"] == load_card(folder).weights_sha256
    own = last_json(sfda_kit("run", "--method", "source-only", *on_pairs, "--source-card", "mine", "--json"))
    assert own["metrics"] == summary["metrics"]


def test_train_never_overwrites_a_folder(source, on_pairs):
    Path("taken").mkdir()
    Path("taken/file").write_text("x")
    said = refusal(source("train", *on_pairs[: on_pairs.index("--epochs")], "--source-epochs", "1", "--out", "taken"))
    assert "not an empty folder" in said and [p.name for p in Path("taken").iterdir()] == ["file"]


def test_a_card_brings_its_own_network_into_a_run(sfda_kit, on_pairs):
    write_card(Path("card"))
    said = refusal(sfda_kit("run", "--method", "source-only", *on_pairs, "--image-size", "64", "--source-card", "card"))
    assert "model.image_size is 64" in said and "holds a network with 32" in said


def test_show_tells_what_a_card_knows(source):
    write_card(Path("card"))
    shown = source("show", "card").stdout
    assert "test_resnet, bottleneck of 16, 32 px" in shown and "90.0 % of 10 held-out images" in shown
    assert all(name in shown for name in TR)
    assert last_json(source("show", "card", "--json"))["classes"] == list(TR)


def test_show_refuses_what_is_no_card(source):
    write_card(Path("card"))
    assert "sfda-kit source train" in refusal(source("show", "nowhere"))
    Path("card/model.safetensors").write_bytes(b"junk")
    assert "not a safetensors file" in refusal(source("show", "card"))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_an_imported_network_predicts_what_the_timm_model_does(take_in, backbone):
    size = {"img_size": SIDE} if backbone == "test_vit" else {}
    model = classifier(backbone, **size)
    save_file(model.state_dict(), "weights.safetensors")
    network, card = load_source_model(folder_of(take_in("weights.safetensors", backbone=backbone)))
    assert card.classes == CLASSES and card.accuracy is None and card.model.bottleneck == 0
    assert card.mean == tuple(model.pretrained_cfg["mean"])
    with torch.inference_mode():
        assert torch.allclose(network(images()).logits, model(images()), atol=1e-5)


def renamed(state: dict, prefix: str, head: str) -> dict:
    return {key.replace("fc.", f"{head}.") if key.startswith("fc.") else prefix + key: v for key, v in state.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "args": Namespace(lr=1)},
        lambda state: {"model": {f"model.{k}": v for k, v in state.items()}, "epoch": 3},
        lambda state: {"model_state": renamed(state, "backbone.", "head")},
        lambda state: {k: v for k, v in renamed(state, "", "classifier").items() if "num_batches" not in k},
    ],
)
def test_usual_nestings_and_prefixes_are_unwrapped(take_in, wrapped):
    model = classifier()
    torch.save(wrapped(model.state_dict()), "weights.pt")
    network, _ = load_source_model(folder_of(take_in("weights.pt", "--out", "card")))
    with torch.inference_mode():
        assert torch.allclose(network(images()).logits, model(images()), atol=1e-5)


def test_a_bottleneck_is_found_and_an_exported_model_comes_back(sfda_kit, source):
    card = write_card(Path("card"))
    network, _ = load_source_model(Path("card"))
    torch.save({"state_dict": network.state_dict()}, "own.pt")
    flags = ("--backbone", "test_resnet", "--classes", ",".join(TR), "--image-size", str(SIDE))
    found = load_card(folder_of(source("import", "own.pt", *flags)))
    assert found.model.bottleneck == 16 and found.weights_sha256 == card.weights_sha256
    write_folders(Path())
    run = "--source-card card --target-dir target --method source-only --json"
    summary = last_json(sfda_kit("adapt", *run.split()))
    sfda_kit("export", "--run", summary["run_dir"], "--out", "exported.safetensors")
    again, _ = load_source_model(folder_of(source("import", "exported.safetensors", *flags)))
    with torch.inference_mode():
        assert torch.allclose(again(images()).logits, network(images()).logits, atol=1e-5)


@pytest.mark.needs_plugin("sfda-kit-socket", "sfda-kit-tgkt")
def test_an_imported_card_runs_and_adapts(sfda_kit, source, on_pairs):
    torch.save(timm.create_model("test_resnet", num_classes=len(TR)).state_dict(), "weights.pt")
    flags = ("--backbone", "test_resnet", "--classes", ",".join(TR), "--image-size", str(SIDE))
    assert source("import", "weights.pt", *flags, "--out", "card").exit_code == 0
    summary = last_json(sfda_kit("run", "--method", "socket", *on_pairs, "--source-card", "card", "--json"))
    assert summary["status"] == "ok" and summary["metrics"]["source_accuracy"] is None
    write_folders(Path())
    flags = "--source-card card --target-dir target --ti-dir ti --method tgkt --epochs 1 --bridge-epochs 1"
    assert sfda_kit("adapt", *flags.split()).exit_code == 0


def test_normalisation_and_modality_are_taken_from_the_flags(take_in):
    save_file(classifier().state_dict(), "weights.safetensors")
    more = ("--mean", "0.1,0.2,0.3", "--std", "0.4,0.5,0.6", "--modality", "nir")
    card = load_card(folder_of(take_in("weights.safetensors", *more)))
    assert (card.mean, card.std, card.modality) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "nir")


def test_unmatched_tensors_are_reported_and_refused_unless_accepted(take_in):
    torch.save(classifier().state_dict() | {"auxiliary.weight": torch.zeros(2)}, "weights.pt")
    result = take_in("weights.pt")
    assert "auxiliary.weight" in refusal(result) and "unmatched in the file" in result.stderr
    assert take_in("weights.pt", "--ignore-unmatched").exit_code == 0


def _without(state: dict, *names: str) -> dict:
    return {key: value for key, value in state.items() if key not in names}


@pytest.mark.parametrize(
    ("state", "backbone", "said"),
    [
        (lambda: classifier("test_efficientnet").state_dict(), "test_resnet", "another family of networks"),
        (lambda: classifier("resnet34").state_dict(), "resnet18", "layer1.2.conv1.weight"),
        (lambda: classifier("resnet18").state_dict(), "resnet34", "not in the file: backbone.layer1.2.conv1.weight"),
        (lambda: classifier(in_chans=1).state_dict(), "test_resnet", "the file has [16, 1, 3, 3]"),
        (lambda: classifier(in_chans=1).state_dict(), "test_resnet", "trained on images of 1 channels"),
        (lambda: classifier("test_vit").state_dict(), "test_vit", "give that one with --image-size"),
        (lambda: _without(classifier().state_dict(), "fc.weight", "fc.bias"), "test_resnet", "the last layer does not"),
        (lambda: timm.create_model("test_resnet", num_classes=7).state_dict(), "test_resnet", "has 7 classes, but"),
        (lambda: classifier().state_dict(), "test_resnt", "test_resnet"),
        (lambda: {"loss": 1.0}, "test_resnet", "holds no state dict but the keys loss"),
        (lambda: [1, 2], "test_resnet", "holds no state dict but list"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_a_guess(take_in, state, backbone, said):
    torch.save(state(), "weights.pt")
    assert said in refusal(take_in("weights.pt", backbone=backbone))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_refused_and_never_runs(take_in):
    torch.save({"state_dict": Bomb()}, "bomb.pt")
    Path("bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    torch.save(classifier(), "whole.pt")
    for name in ("bomb.pt", "bomb.pkl", "whole.pt"):
        said = refusal(take_in(name))
        assert "not unpickled" in said and "safetensors.torch.save_file" in said, name
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.pt",), "no weights at nowhere.pt"),
        (("junk.pt",), "no file of weights"),
        (("junk.safetensors",), "not a safetensors file"),
        (("empty.pt",), "no file of weights"),
        (("good.pt", "--classes", "a,a,b"), "at least two different names"),
        (("good.pt", "--mean", "1,2"), "--mean '1,2': expected three numbers"),
        (("good.pt", "--mean", "123,117,104"), "by 255"),
        (("good.pt", "--std", "1,0,1"), "greater than 0"),
        (("good.pt", "--modality", "rbg"), "'rgb'"),
    ],
)
def test_bad_input_of_import_gets_a_message(take_in, arguments, said):
    for name in ("junk.pt", "junk.safetensors"):
        Path(name).write_text("hello, this is no file of weights")
    Path("empty.pt").touch()
    torch.save(classifier().state_dict(), "good.pt")
    assert said in refusal(take_in(*arguments))


def test_data_show_draws_a_sheet_and_names_what_it_saw(sfda_kit, pairs_root):
    result = sfda_kit("data", "show", "paired-folder", "--data-root", pairs_root, "--out", "s.png", "--number", "8")
    assert "144 samples of 6 classes by cam; 8 drawn to s.png" in result.stdout
    assert Path("s.png").stat().st_size > 1000
    assert "--data-root DIR" in refusal(sfda_kit("data", "show", "paired-folder"))
    assert "sun-rgbd" in refusal(sfda_kit("data", "show", "sunrgbd"))
    assert "rooms" in sfda_kit("data", "list").stdout


def test_data_make_twin_writes_a_layout_that_show_reads(sfda_kit):
    assert "144 synthetic scenes" in sfda_kit("data", "make-twin", "sun-rgbd", "twin", "--frames-per-class", "2").stdout
    assert sfda_kit("data", "show", "sun-rgbd", "--data-root", "twin").exit_code == 0
    assert "not an empty folder" in refusal(sfda_kit("data", "make-twin", "sun-rgbd", "twin"))
    assert "Known: diml" in refusal(sfda_kit("data", "make-twin", "kitti", "other"))


def test_a_card_of_a_pretrained_network_brings_its_preset(tmp_path):
    write_card(tmp_path)
    settings = {"method": "shot", "source": {"card": str(tmp_path)}}
    assert load_config(settings).adapt.backbone_lr_factor == 1.0
    rewrite_card(tmp_path, model=load_card(tmp_path).model.model_copy(update={"pretrained": True}))
    assert load_config(settings).adapt.backbone_lr_factor == 0.1
    assert load_config({**settings, "preset": "scratch"}).adapt.backbone_lr_factor == 1.0
