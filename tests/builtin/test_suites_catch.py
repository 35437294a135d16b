"""The conformance suites fail for parts that break their contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit.adapt.bank import FeatureBank
from sfda_kit.interfaces import Aligner, PseudoLabeler, PseudoLabels
from sfda_kit.interfaces.bridge import Bridge
from sfda_kit.testing import AlignerConformance, BridgeConformance, LabelerConformance


def suite(base: type[Any], part: Callable[[], object]) -> Any:
    """A conformance suite over ``part``, without a declaration."""
    return type("Suite", (base,), {"part": lambda self: part()})()


class PerImage(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.norm(dim=1)


class Detached(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.detach().norm().requires_grad_()


class TrainsTheTeacher(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        signals._source.train()(signals.target_images)
        return signals.target_features.norm()


class Random(Aligner):
    def __call__(self, signals: Any) -> Tensor:
        return signals.target_features.norm() * torch.rand(())


@pytest.mark.parametrize(
    ("aligner", "test", "says"),
    [
        (PerImage, "returns_a_finite_scalar", "expected a 0-d tensor, got shape"),
        (Detached, "trains_the_network", "no gradient reaches the network"),
        (TrainsTheTeacher, "leaves_the_source_network_alone", "has changed"),
        (Random, "same_step_gives_the_same_loss", "torch.equal|assert"),
    ],
)
def test_broken_aligners(aligner: type[Aligner], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(suite(AlignerConformance, aligner), f"test_{test}")()


class FloatLabels(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        return PseudoLabels(bank.predictions.float(), torch.ones(len(bank.logits)))


class FirstImageCounts(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        labels = (bank.predictions + bank.predictions[0]) % bank.logits.shape[1]
        return PseudoLabels(labels, torch.ones(len(labels)))


@pytest.mark.parametrize(
    ("labeler", "test"),
    [(FloatLabels, "labels_every_image"), (FirstImageCounts, "order_of_images_does_not_matter")],
)
def test_broken_labelers(labeler: type[PseudoLabeler], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(LabelerConformance, labeler), f"test_{test}")()


class Halves(Bridge):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.mix(images)


class LooksAtTheBatch(Bridge):
    trained = False

    def forward(self, images: Tensor) -> Tensor:
        return images - images.mean(dim=0)


@pytest.mark.parametrize(
    ("bridge", "test"),
    [(Halves, "keeps_shape_and_type"), (LooksAtTheBatch, "inference_treats_each_image_alone")],
)
def test_broken_bridges(bridge: type[Bridge], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(BridgeConformance, bridge), f"test_{test}")()
