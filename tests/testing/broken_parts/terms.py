"""Aligners, bridges, encodings and labelers that break their contract."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sfda_kit import Aligner, Bridge, BridgeObjective, Encoding, PseudoLabeler, PseudoLabels, UserError
from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.builtin.aligners import TiFeatures
from sfda_kit.testing import AlignerConformance, BridgeConformance, EncodingConformance, LabelerConformance

from .broken import broken


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


class IdleModule(PerImage):
    def __call__(self, signals: Any) -> Tensor:
        return super().__call__(signals).mean()

    def own_module(self, network: nn.Module) -> nn.Module:
        return nn.Linear(2, 2)


class WantsNoBatchNorm(PerImage):
    def check(self, network: nn.Module) -> None:
        raise UserError("the network has batch normalisation")


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


class Scales(Bridge):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale


class LoadsNothing(Scales):
    def load_state_dict(self, *state: Any, **how: Any) -> Any:
        return None


class DetachedTerm(BridgeObjective):
    def terms(self) -> Any:
        return {"size": lambda signals: torch.zeros((), requires_grad=True) * 2}


class WeighsNoTerm(Scales):
    default_objective: ClassVar = {"sise": 1.0}

    def objective(self, source_network: nn.Module) -> BridgeObjective:
        return DetachedTerm()


class Unclipped(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return images.expand(-1, 3, -1, -1)


class ByBatch(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return (images / images.amax().clamp(min=1)).clamp(0, 1).expand(-1, 3, -1, -1)


class Overwrites(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return images.clamp_(0, 0.5).expand(-1, 3, -1, -1)


class SeesTheHole(Encoding):
    def __call__(self, images: Tensor, modality: Any) -> Tensor:
        return (images.amin(dim=(1, 2, 3), keepdim=True) / 3).expand(-1, 3, *images.shape[2:])


class FloatLabels(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        return PseudoLabels(bank.predictions.float(), torch.ones(len(bank.logits)))


class FirstImageCounts(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        labels = (bank.predictions + bank.predictions[0]) % bank.logits.shape[1]
        return PseudoLabels(labels, torch.ones(len(labels)))


class WritesIntoTheBank(PseudoLabeler):
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        bank.features.div_(2)
        return PseudoLabels(bank.predictions, torch.ones(len(bank.logits)))


class WeighsByDistance(PseudoLabeler):
    """Its weights are 0 / 0 where all features are equal."""

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        distance = (bank.features - bank.features.mean(0)).norm(dim=1)
        return PseudoLabels(bank.predictions, distance / distance.max())


ALIGNERS = [
    broken(
        AlignerConformance, PerImage, "returns_a_finite_scalar", r"the loss is torch.float32 \(12,\); expected a 0-d"
    ),
    broken(AlignerConformance, Detached, "trains_the_network", "no gradient reaches the network"),
    broken(
        AlignerConformance, TrainsTheTeacher, "leaves_the_source_network_alone", "has changed; expected it as before"
    ),
    broken(AlignerConformance, Random, "same_step_gives_the_same_loss", "the loss differs by up to .* again"),
    broken(AlignerConformance, IdleModule, "trains_its_own_module", "no gradient reaches weight of the own module"),
    broken(AlignerConformance, WantsNoBatchNorm, "accepts_a_network_with_batch_norm", "the network has batch norm"),
    broken(AlignerConformance, PerImage, "says_what_it_uses", "does not say what it uses; expected uses=", uses=None),
    broken(AlignerConformance, TiFeatures, "says_what_it_uses", r'without TI pairs it raised .* uses=\("pairs",\)'),
]
BRIDGES = [
    broken(BridgeConformance, Halves, "keeps_shape_and_type", r"forward returned .*\(2, 3, 8, 8\); expected"),
    broken(BridgeConformance, LooksAtTheBatch, "inference_treats_each_image_alone", "differs by .* among other images"),
    broken(BridgeConformance, LoadsNothing, "survives_saving", "the translation differs by .* after saving"),
    broken(BridgeConformance, WeighsNoTerm, "default_objective_names_terms", r"default_objective weighs \['sise'\]"),
    broken(
        BridgeConformance, WeighsNoTerm, "terms_train_the_bridge_and_nothing_else", "'size' gives the bridge no grad"
    ),
]
ENCODINGS = [
    broken(
        EncodingConformance, Unclipped, "three_channels_between_zero_and_one", r"depth becomes .*; expected values in"
    ),
    broken(EncodingConformance, ByBatch, "each_image_is_treated_alone", "depth differs by up to .* among other images"),
    broken(
        EncodingConformance,
        Overwrites,
        "same_images_give_the_same_values_and_stay_as_they_are",
        "the batch of .* after the call",
    ),
    broken(EncodingConformance, SeesTheHole, "missing_values_do_not_leak", "a hole in depth changes the border by"),
]
LABELERS = [
    broken(
        LabelerConformance, FloatLabels, "labels_every_image", r"labels are torch.float32 \(40,\); expected torch.int64"
    ),
    broken(LabelerConformance, WritesIntoTheBank, "does_not_change_the_bank", "bank.features differs by"),
    broken(LabelerConformance, FirstImageCounts, "order_of_images_does_not_matter", "an image's label differs by"),
    broken(LabelerConformance, WeighsByDistance, "collapsed_network", "a weight is not finite"),
    broken(LabelerConformance, WeighsByDistance, "single_image", "a weight is not finite"),
]
BROKEN = [*ALIGNERS, *BRIDGES, *ENCODINGS, *LABELERS]
