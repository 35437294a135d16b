"""Weights that a backbone begins with: named sets, files and folders, and what is told where they do not fit."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from sfda_kit import load_config
from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models import hub
from sfda_kit.models.network import Network, build_network
from sfda_kit.results.record import Record
from sfda_kit.scaffold.sample_weights import ARCHITECTURE, sample_weights
from sfda_kit.source.backbone_weights import locate, names_for, portable_name, weights_of
from sfda_kit.source.filling import fill_backbone
from sfda_kit.source.importing import match
from sfda_kit.submissions.pack import pack, public_record
from sfda_kit.submissions.verify import Rules, verify

PLUGIN = """
from pathlib import Path
import sfda_kit
FILE = Path({file!r})
HALF = (0.5, 0.4, 0.3)
def renamed(name):
    {rename}
SET = sfda_kit.BackboneWeights("test_efficientnet", lambda: FILE, {sha256!r}, HALF, HALF, "MIT", "a test", renamed)
@sfda_kit.hookimpl
def sfda_kit_register_weights():
    return [sfda_kit.Component("retina", "retina_plugin:SET", "a test"),
            sfda_kit.Component("broken", "retina_plugin:NONE", "a test")]
"""
Installer = Callable[..., None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(sample_weights())
    return path


@pytest.fixture
def retina(install: Installer, file: Path) -> Callable[..., None]:
    def put(rename: str = "return name", sha256: str = "") -> None:
        known = sha256 or hashlib.sha256(file.read_bytes()).hexdigest()
        install("retina_plugin", PLUGIN.format(file=str(file), sha256=known, rename=rename))

    return put


def network(image_size: int = 32, backbone: str = ARCHITECTURE) -> Network:
    return build_network(ModelConfig(backbone=backbone, image_size=image_size), 3, pretrained=False)


def original() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(timm.create_model(ARCHITECTURE, num_classes=10).half().float().state_dict())


def test_a_backbone_gets_every_tensor_and_the_rest_stays(file: Path):
    filled, expected = network(), original()
    bottleneck = filled.bottleneck[0].weight.clone()
    told = fill_backbone(filled, locate(str(file)))
    for name, tensor in filled.backbone.state_dict().items():
        assert torch.equal(tensor, expected[name]) or name.endswith("num_batches_tracked"), name
    assert torch.equal(filled.bottleneck[0].weight, bottleneck)
    assert "'mine.safetensors'" in told and "classifier of 10 classes is left out" in told


def test_prefixes_of_wrappers_make_no_difference_and_pickles_are_not_run(tmp_path: Path):
    torch.save({"state_dict": {f"module.{name}": one for name, one in original().items()}}, tmp_path / "a.pth")
    filled = network()
    assert "of 10 classes" in fill_backbone(filled, locate(str(tmp_path / "a.pth")))
    assert torch.equal(filled.backbone.conv_stem.weight, original()["conv_stem.weight"])
    torch.save({"model": timm.create_model(ARCHITECTURE)}, tmp_path / "whole.pth")
    with pytest.raises(UserError, match="was not unpickled"):
        fill_backbone(network(), locate(str(tmp_path / "whole.pth")))


def test_tensors_without_a_place_and_missing_ones_are_listed(tmp_path: Path):
    state = original()
    state["strange.weight"] = state.pop("conv_stem.weight")
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="do not fit") as caught:
        fill_backbone(network(), locate(str(tmp_path / "a.safetensors")))
    assert "not in the file: conv_stem.weight" in str(caught.value)
    assert "without a place in the backbone: strange.weight" in str(caught.value)
    with pytest.raises(UserError, match=r"the file has \[.*\], expected \["):
        fill_backbone(network(backbone="efficientnet_b0"), locate(str(tmp_path / "a.safetensors")))


def test_a_transformer_of_another_image_size_is_converted_as_timm_does(tmp_path: Path):
    save_file(timm.create_model("test_vit", img_size=64).state_dict(), tmp_path / "vit.safetensors")
    fill_backbone(network(32, "test_vit"), locate(str(tmp_path / "vit.safetensors")))


def test_a_folder_of_timm_says_what_it_is(tmp_path: Path, file: Path):
    folder = tmp_path / "timm"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(file.read_bytes())
    stated = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "license": "cc0-1.0"}
    (folder / "config.json").write_text(json.dumps({"architecture": ARCHITECTURE, "pretrained_cfg": stated}))
    for given in (str(folder), f"local-dir:{folder}"):
        found = locate(given)
        assert (found.name, found.architecture, found.licence) == ("timm", ARCHITECTURE, "cc0-1.0")
        assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
        assert load_config({"method": "shot", "model": {"backbone_weights": given}}).model.backbone == ARCHITECTURE
    (folder / "config.json").write_text(json.dumps({"pretrained_cfg": {**stated, "std": [0, 1, 1]}}))
    with pytest.raises(UserError, match=r"std is .*; expected three numbers"):
        locate(str(folder))


def test_a_named_set_chooses_network_and_preset(retina: Callable[..., None]):
    retina()
    config = load_config({"method": "shot", "model": {"backbone_weights": "retina_plugin:retina"}})
    assert (config.model.backbone, config.model.backbone_weights) == (ARCHITECTURE, "retina")
    assert config.preset == "pretrained" and config.adapt.backbone_lr_factor == 0.1
    found = weights_of(config.model)
    assert found is not None and found.mean == (0.5, 0.4, 0.3)
    assert names_for(f"{ARCHITECTURE}.r160_in1k") == ["retina"]


def test_contradictions_are_errors(retina: Callable[..., None], file: Path):
    retina()
    with pytest.raises(UserError, match=r"--pretrained.*--backbone-weights.*give one of them"):
        load_config({"method": "shot", "model": {"pretrained": True, "backbone_weights": "retina"}})
    config = load_config({"method": "shot", "model": {"backbone": "resnet18", "backbone_weights": "retina"}})
    with pytest.raises(UserError, match="'retina' are of test_efficientnet, and the backbone is resnet18"):
        weights_of(config.model)
    with pytest.raises(UserError, match=r"Of which network are the weights .*mine\.safetensors"):
        load_config({"method": "shot", "model": {"backbone_weights": file}})
    with pytest.raises(UserError, match="is a module of yours"):
        weights_of(ModelConfig(backbone="my_networks:build", backbone_weights="retina"))


@pytest.mark.parametrize(
    ("rename", "says"),
    [
        ("raise KeyError(name)", "weights 'retina' of retina_plugin 1.2 failed: KeyError"),
        ("return 'conv_stem.weight'", "give two tensors the name 'conv_stem.weight'"),
    ],
)
def test_names_that_a_set_gives_are_checked(retina: Callable[..., None], rename: str, says: str):
    retina(rename)
    with pytest.raises(UserError, match=says):
        fill_backbone(network(), locate("retina"))


def test_a_set_that_is_broken_costs_only_itself(retina: Callable[..., None], file: Path):
    retina(sha256="0" * 64)
    with pytest.raises(UserError, match=r"is not that of the weights 'retina'.*expected 0000000000000000"):
        locate("retina")
    with pytest.raises(UserError, match=r"NONE.*cannot be imported"):
        locate("broken")
    assert locate(str(file)).sha256 == hashlib.sha256(sample_weights()).hexdigest()
    file.unlink()
    with pytest.raises(UserError, match="has no file at"):
        locate("retina")


def test_a_moved_file_is_the_same_and_a_changed_one_is_another(file: Path, tmp_path: Path):
    before = locate(str(file)).identity()
    (tmp_path / "moved").mkdir()
    moved = file.rename(tmp_path / "moved" / file.name)
    assert locate(str(moved)).identity() == before
    save_file(original(), moved)
    assert locate(str(moved)).identity() != before


def test_what_is_not_there_is_told_with_what_is(retina: Callable[..., None]):
    retina()
    with pytest.raises(UserError, match="Did you mean 'retina'"):
        locate("retinas")
    with pytest.raises(UserError, match=r"no weights at .*none\.pt.*plugins list --kind weights"):
        locate("/there/is/none.pt")


def test_records_name_no_folder_of_this_disk(retina: Callable[..., None], tmp_path: Path):
    retina()
    assert portable_name("/home/person/retina.pt") == "retina.pt"
    assert portable_name("local-dir:C:\\person\\folder\\") == "folder"
    assert portable_name("hf-hub:timm/resnet18.a1_in1k") == "hf-hub:timm/resnet18.a1_in1k"
    assert portable_name("retina_plugin:retina") == "retina"


def test_a_path_may_begin_with_a_variable(monkeypatch: pytest.MonkeyPatch, file: Path):
    given = f"$MY_WEIGHTS/{file.name}"
    monkeypatch.delenv("MY_WEIGHTS", raising=False)
    assert portable_name(given) == file.name
    with pytest.raises(
        UserError, match=r"The weights are at \$MY_WEIGHTS/mine\.safetensors, and that variable is not set"
    ):
        locate(given)
    monkeypatch.setenv("MY_WEIGHTS", str(file.parent))
    assert locate(given).identity() == locate(str(file)).identity()
    monkeypatch.setenv("MY_FILE", str(file))
    assert locate("$MY_FILE").sha256 == locate(str(file)).sha256


def test_tensors_of_torchvision_have_the_names_and_shapes_of_timm():
    """Those of the file ``resnet50-0676ba61.pth``, which a suite names, fill the network without its last layer."""
    with torch.device("meta"):
        theirs = torchvision.models.resnet50(weights=None).state_dict()
        ours = network(224, "resnet50.tv_in1k")
    placed = match({name: tensor for name, tensor in theirs.items() if not name.startswith("fc.")}, ours)
    assert len(placed.placed) == 318 and not placed.unmatched and not placed.mismatched
    assert {name.partition(".")[0] for name in placed.missing} == {"bottleneck", "classifier"}
    stated = timm.get_pretrained_cfg("resnet50.tv_in1k")
    assert stated is not None and stated.url == torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url


def test_a_repository_of_the_hub_is_read_from_this_disk_or_told_to_be_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path
):
    monkeypatch.setattr(hub, "unreachable", lambda: "no route to host")
    with pytest.raises(UserError, match=r"'me/mine' are not on this disk.*no route to host.*--backbone-weights"):
        locate("hf-hub:me/mine")
    with pytest.raises(UserError, match="no repository 'no/such/name'"):
        locate("hf-hub:no/such/name")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "model.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "hub" / "config.json").write_text(json.dumps({"architecture": ARCHITECTURE}))

    def cached(repository: str, name: str, revision: str | None) -> str:
        assert (repository, revision) == ("me/mine", "v1")
        return str(tmp_path / "hub" / name)

    monkeypatch.setattr(hub, "try_to_load_from_cache", cached)
    found = locate("hf-hub:me/mine@v1")
    assert (found.name, found.architecture) == ("hf-hub:me/mine@v1", ARCHITECTURE)


@pytest.mark.slow
def test_a_run_from_named_weights(retina: Callable[..., None], sfda_kit, on_pairs: list[str]):
    """Name, hash, licence and normalisation of the weights are in the record."""
    retina()
    flags = [word for word in on_pairs if word not in ("--backbone", "test_resnet")]
    done = sfda_kit("run", "--method", "source-only", *flags, "--backbone-weights", "retina", "--json")
    assert done.exit_code == 0 and "classifier of 10 classes is left out" in done.stderr
    folder = Path(json.loads(done.stdout.splitlines()[-1])["run_dir"])
    record = json.loads((folder / "record.json").read_text())
    begun = record["source"]["initial_weights"]
    assert begun == {
        "name": "retina",
        "sha256": hashlib.sha256(sample_weights()).hexdigest(),
        "licence": "MIT",
        "source": "a test",
    }
    assert record["source"]["mean"] == [0.5, 0.4, 0.3]
    assert record["config"]["model"]["backbone"] == ARCHITECTURE
    archive = pack([folder], folder.parent / "mine.zip", {}).path.read_bytes()
    report = verify(archive, Rules())
    assert report.accepted, report
    at_home = {**record, "config": {**record["config"], "model": {**record["config"]["model"]}}}
    at_home["config"]["model"]["backbone_weights"] = "/home/person/retina.pt"
    assert public_record(Record.model_validate(at_home)).config["model"]["backbone_weights"] == "retina.pt"
    object.__setattr__(sys.modules["retina_plugin"].SET, "sha256", "0" * 64)
    assert "weights retina have another hash than those of retina_plugin here" in str(verify(archive, Rules()))


def test_an_empty_name_of_weights_is_refused():
    with pytest.raises(UserError, match=r"model\.backbone_weights: is empty"):
        load_config({"method": "shot", "model": {"backbone_weights": ""}})
