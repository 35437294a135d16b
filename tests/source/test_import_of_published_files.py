"""Source models as SHOT and its descendants publish them: files for backbone, bottleneck and classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from sfda_kit.source.source_card import load_card
from sfda_kit.source.source_models import load_source_model

CLASSES, SIDE, WIDTH = ("ant", "bee", "cat"), 32, 16
FILES = ("source_F.pt", "source_B.pt", "source_C.pt")
State = dict[str, Tensor]


class Published(nn.Module):
    """The three parts of a published network, with the names of its files, and random weights and statistics."""

    def __init__(self, backbone: nn.Module, width: int, plain: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.bottleneck = nn.Linear(width, WIDTH)
        self.bn = nn.BatchNorm1d(WIDTH)
        self.fc: nn.Module = nn.Linear(WIDTH, len(CLASSES))
        if not plain:
            self.fc = parametrizations.weight_norm(self.fc)
        with torch.no_grad():
            for name, value in [*self.named_parameters(), *self.named_buffers()]:
                if value.is_floating_point() and value.ndim < 2:
                    value.uniform_(0.5, 1.5) if "var" in name or "weight" in name else value.normal_(0, 0.2)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.bn(self.bottleneck(self.backbone(images))))
        return logits

    def files(self) -> tuple[State, State, State]:
        """The state dicts of F, B and C; the two parts of the weight under their older names."""
        own = self.state_dict()
        older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        head = {name[3:]: value for name, value in own.items() if name.startswith("fc.")}
        return (
            self.backbone.state_dict(),
            {name: value for name, value in own.items() if name.startswith(("bottleneck.", "bn."))},
            {f"fc.{older.get(name, name)}": value for name, value in head.items()},
        )


def resnet(plain: bool = False) -> Published:
    torch.manual_seed(0)
    backbone = torchvision.models.resnet18()
    backbone.fc = nn.Identity()
    return Published(backbone, 512, plain)


def images(side: int = SIDE) -> Tensor:
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def take_in(sfda_kit, private_home) -> Callable[..., Any]:
    def taken(states: tuple[Any, ...], *more: Any, backbone: str = "resnet18.tv_in1k", side: int = SIDE) -> Any:
        for name, state in zip(FILES, states, strict=False):
            torch.save(state, name)
        flags = ("--backbone", backbone, "--classes", ",".join(CLASSES), "--image-size", side, "--out", "card")
        return sfda_kit("source", "import", *FILES[: len(states)], *flags, *more)

    return taken


def same_answers(model: nn.Module, side: int = SIDE) -> None:
    network, _ = load_source_model(Path("card"))
    with torch.inference_mode():
        torch.testing.assert_close(network(images(side)).logits, model(images(side)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3},
        lambda state: {"model": state},
    ],
    ids=["as published", "module.", "state_dict", "model"],
)
def test_three_files_predict_what_the_published_network_does(take_in, wrapped):
    model = resnet()
    assert take_in(tuple(map(wrapped, model.files()))).exit_code == 0
    same_answers(model)
    card = load_card(Path("card"))
    assert card.model.bottleneck == WIDTH and card.mean == (0.485, 0.456, 0.406)
    assert card.training == {"imported": "source_F.pt source_B.pt source_C.pt"}


def test_a_classifier_without_weight_normalisation_is_split_into_length_and_direction(take_in):
    model = resnet(plain=True)
    assert take_in(model.files()).exit_code == 0
    same_answers(model)


def test_the_order_of_the_files_is_free(take_in):
    model = resnet()
    backbone, bottleneck, classifier = model.files()
    assert take_in((classifier, backbone, bottleneck)).exit_code == 0
    same_answers(model)


class Vgg(nn.Module):
    """VGG-11 with the names that the authors give its two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        full = torchvision.models.vgg11()
        self.features = full.features
        self.classifier = nn.Sequential()
        for number in range(6):
            self.classifier.add_module(f"classifier{number}", full.classifier[number])

    def forward(self, batch: Tensor) -> Tensor:
        values: Tensor = self.classifier(self.features(batch).flatten(1))
        return values


@pytest.mark.slow
def test_a_vgg_predicts_what_the_published_one_does(take_in):
    torch.manual_seed(0)
    model = Published(Vgg(), 4096)
    assert take_in(model.files(), backbone="vgg11.tv_in1k", side=224).exit_code == 0
    same_answers(model, 224)


def test_a_missing_file_and_a_file_given_twice_are_refused(take_in):
    backbone, bottleneck, classifier = resnet().files()
    assert "not in the file" in str(take_in((backbone, bottleneck)).exception)
    assert "which a file before it holds too" in str(take_in((backbone, bottleneck, classifier | bottleneck)).exception)
