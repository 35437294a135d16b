"""The control ``imagenet-head``: which ImageNet classes stand for a class, what it answers, where it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import timm
import torch
from safetensors.torch import save_file

from sfda_kit.config.models import ModelConfig
from sfda_kit.data.views import Normalisation
from sfda_kit.errors import UserError
from sfda_kit.evaluate.imagenet_classes import match_classes
from sfda_kit.evaluate.imagenet_head import GroupedNetwork, ImageNetHead, imagenet_network
from sfda_kit.evaluate.probe import NEVER
from sfda_kit.models.network import Network
from sfda_kit.testing.networks import SmallBackbone

from ..conftest import TR, last_json

ARCHITECTURE = "test_efficientnet"
NAMES = dict(zip(TR, ("folding chair", "toilet seat", "n03938244"), strict=False))
BARBER_CHAIR, FOLDING_CHAIR, ROCKING_CHAIR, DINING_TABLE, POOL_TABLE = 423, 559, 765, 532, 736
STUDIO_COUCH, TABLE_LAMP, LAMPSHADE, TELEVISION, PILLOW = 831, 846, 619, 851, 721


def whole_weights(path: Path, classes: int = 1000) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(timm.create_model(ARCHITECTURE, num_classes=classes).state_dict(), path)
    return path


@pytest.fixture
def on_weights(on_pairs: list[str], tmp_path: Path) -> list[str]:
    file = whole_weights(tmp_path / "whole.safetensors")
    flags = [ARCHITECTURE if word == "test_resnet" else word for word in on_pairs]
    return [*flags, "--backbone-weights", str(file), "--method", "imagenet-head", "--json"]


def test_a_class_means_the_imagenet_classes_whose_names_end_in_its_words():
    found = match_classes(["chair", "table", "lamp", "television", "Pillow", "sofa", "toilet"])
    assert found == {
        "chair": (BARBER_CHAIR, FOLDING_CHAIR, ROCKING_CHAIR),
        "table": (DINING_TABLE, POOL_TABLE),
        "lamp": (TABLE_LAMP,),
        "television": (TELEVISION,),
        "Pillow": (PILLOW,),
        "sofa": (),
        "toilet": (),
    }


def test_an_index_belongs_to_the_class_of_its_earlier_and_then_of_the_longer_name():
    """831 is called "studio couch, day bed", 765 "rocking chair, rocker"."""
    for classes in (["bed", "couch"], ["couch", "bed"]):
        assert match_classes(classes) == {"bed": (), "couch": (STUDIO_COUCH,)}
    assert match_classes(["bed"]) == {"bed": (STUDIO_COUCH,)}
    found = match_classes(["chair", "rocking_chair", "rocker"])
    assert found == {"chair": (BARBER_CHAIR, FOLDING_CHAIR), "rocking_chair": (ROCKING_CHAIR,), "rocker": ()}


def test_given_names_replace_the_rule_and_take_their_classes_from_others():
    given = {"sofa": "Studio_Couch", "lamp": ["table lamp", "n03637318"], "chair": []}
    found = match_classes(["bed", "sofa", "lamp", "chair", "table"], given)
    assert found["sofa"] == (STUDIO_COUCH,) and found["bed"] == () and found["chair"] == ()
    assert found["lamp"] == (LAMPSHADE, TABLE_LAMP) and found["table"] == (DINING_TABLE, POOL_TABLE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sofas": "pillow"}, "has a class 'sofas'.*'sofa'"),
        ({"sofa": "studio coach"}, "no class 'studio coach'.*'studio couch'"),
        ({"sofa": "chair"}, "no class 'chair'"),
        ({"sofa": "pillow", "bed": "pillow"}, "gives 'pillow' to 'sofa' and to 'bed'"),
    ],
)
def test_wrong_names_are_refused(given: dict[str, str], message: str):
    with pytest.raises(UserError, match=message):
        match_classes(["sofa", "bed"], given)


@pytest.mark.parametrize(
    ("options", "message"), [({"synsets": "sofa"}, "synsets is 'sofa'"), ({"sensor": "rgb"}, "no sensor 'rgb'")]
)
def test_wrong_options_are_refused(options: dict[str, str], message: str):
    with pytest.raises(UserError, match=message):
        ImageNetHead(**options)  # type: ignore[arg-type]


def test_the_probability_of_a_class_is_the_sum_over_its_group():
    torch.manual_seed(0)
    whole = Network(SmallBackbone(), 8, 0, 5).eval()
    given, own = Normalisation((0.2, 0.3, 0.4), (0.5, 0.6, 0.7)), Normalisation((0.5,) * 3, (0.25,) * 3)
    pixels = torch.rand(4, 3, 16, 16)
    mean, std = (torch.tensor(one)[:, None, None] for one in (given.mean, given.std))
    network = GroupedNetwork(whole, [(0, 3), (), (4,)], given, own)
    with torch.no_grad():
        p = whole((pixels - 0.5) / 0.25).logits.softmax(1)
        found = network((pixels - mean) / std)
    torch.testing.assert_close(found.logits[:, [0, 2]].exp(), torch.stack([p[:, 0] + p[:, 3], p[:, 4]], 1))
    assert (found.logits[:, 1] == NEVER).all() and network.class_count == 3 and found.features.shape == (4, 8)


def test_the_network_of_the_weights_answers_as_timm_does(tmp_path: Path):
    file = whole_weights(tmp_path / "whole.safetensors")
    config = ModelConfig(backbone=ARCHITECTURE, backbone_weights=str(file), image_size=32)
    network, normalisation = imagenet_network(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = timm.create_model(ARCHITECTURE, num_classes=1000).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images).logits, expected(images))
    assert normalisation.mean == tuple(timm.get_pretrained_cfg(ARCHITECTURE).mean)


def test_weights_without_such_a_classifier_are_refused(tmp_path: Path):
    for classes, message in ((10, "a classifier of 10 classes; expected one of 1,000"), (0, "have no classifier")):
        file = whole_weights(tmp_path / f"{classes}.safetensors", classes)
        with pytest.raises(UserError, match=message):
            imagenet_network(ModelConfig(backbone=ARCHITECTURE, backbone_weights=str(file), image_size=32))
    with pytest.raises(UserError, match=r"begins without.*--backbone-weights"):
        imagenet_network(ModelConfig(backbone=ARCHITECTURE))


def test_it_answers_to_either_sensor_and_the_record_says_by_which_classes(sfda_kit, on_weights: list[str]):
    names = ", ".join(f"{name}: {told}" for name, told in NAMES.items())
    flags = [*on_weights, "--no-pictures", "--set", f"recipe.options.synsets={{{names}}}"]
    tables = {}
    for sensor in ("target", "source"):
        found = sfda_kit("run", *flags, "--set", f"recipe.options.sensor={sensor}")
        assert found.exit_code == 0, found.output
        folder = Path(last_json(found)["run_dir"])
        record = json.loads((folder / "record.json").read_text())
        tables[sensor] = pq.read_table(folder / "predictions.parquet")
        told = " ".join(record["notices"])
        assert f"{TR[0]}: folding chair" in told and f"never predicts {TR[3]}" in told
        assert record["oracle"] is False and not (folder / "model").exists()
        assert record["cost"]["trained_parameters"] == 0
        assert TR[3] not in tables[sensor]["prediction"].to_pylist()
    assert not tables["source"]["logits"].equals(tables["target"]["logits"])
    assert tables["source"]["source_only_prediction"].equals(tables["target"]["source_only_prediction"])
    shown = sfda_kit("leaderboard", "show", folder.parent, "--format", "markdown")
    assert "imagenet-head" in shown.output and "<sup>c</sup>" in shown.output


def test_it_is_refused_before_a_source_model_is_trained(
    sfda_kit, on_weights: list[str], on_pairs: list[str], monkeypatch: pytest.MonkeyPatch
):
    def train(*_: object) -> None:
        raise AssertionError("a source model is trained")

    monkeypatch.setattr("sfda_kit.runs.labelled_run.source_folders", train)
    unnamed = {name: [] for name in TR}
    for flags, names, message in (
        (on_weights, unnamed, f"is called like one of {TR[0]}"),
        ([*on_pairs, "--method", "imagenet-head"], {TR[0]: "pillow"}, "begins without"),
    ):
        told = json.dumps(names).replace('"', "")
        found = sfda_kit("run", *flags, "--set", f"recipe.options.synsets={told}")
        assert found.exit_code == 2 and message in str(found.exception)
