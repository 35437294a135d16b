"""Label-free scores that read the bank once. A collapsed model can fool most of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from sfda_kit.adaptation.information import entropy, information_maximisation
from sfda_kit.adaptation.row_blocks import by_row_blocks, row_blocks
from sfda_kit.interfaces.validator import Validator

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks


class Entropy(Validator):
    """Negative mean entropy of the predictions, in [-log K, 0] nats. A collapsed model scores 0."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        return -float(by_row_blocks(entropy, bank.probabilities).mean())


class InfoMaxValidator(Validator):
    """H(mean p) - mean H(p), in [0, log K] nats: the mutual information of image and prediction."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        return -float(information_maximisation(bank.probabilities))


class Bnm(Validator):
    """Batch nuclear norm of the softmax matrix P over all images: confident and diverse predictions score high.

    ||P||_* / sqrt(N min(N, K)), in (0, 1]: it is 1 where every prediction is certain and classes are equally frequent,
    and 1 / sqrt(min(N, K)) where all are certain of one class. Source: Cui et al., CVPR 2020
    (https://arxiv.org/abs/2003.12237). Their code divides by N or by min(N, K), which is another factor for the same
    images and classes, so the order of models is the same; ours does not change its range with the number of images.
    """

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        table = bank.probabilities
        return float(torch.linalg.svdvals(_small(table)).sum()) / math.sqrt(len(table) * min(table.shape))


def _small(table: Tensor) -> Tensor:
    """Return a float64 matrix with the singular values of ``table`` (N, K) and at most a block of rows more than K.

    P = Q R with orthonormal columns of Q has those of R, and R of more rows follows from R of the rows before.
    """
    first, *rest = row_blocks(len(table))
    found = table[first].cpu().double()  # float64, which some accelerators lack
    for block in rest:
        found = torch.linalg.qr(torch.cat([found, table[block].cpu().double()]), mode="r").R
    return found


class SourceAgreement(Validator):
    """Share of images, in [0, 1], that keep the source model's prediction. A model that is not adapted scores best."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        return float((bank.predictions == source_bank.predictions).float().mean())


class SourceDrift(Validator):
    """Minus the mean KL divergence of the model's predictions from the source model's, at most 0, in nats.

    -mean_i KL(p_i^source || p_i) is the soft counterpart of source-agreement. It sees confidence change before a
    prediction does, and images of which the source model was sure weigh more. A model that is not adapted scores best.
    """

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        return -max(0.0, float(by_row_blocks(_divergence, source_bank.logits, bank.logits).mean()))


def _divergence(source_logits: Tensor, logits: Tensor) -> Tensor:
    """Return KL(p_i^source || p_i), (B,), from logits (B, K)."""
    source = source_logits.log_softmax(dim=1)
    return (source.exp() * (source - logits.log_softmax(dim=1))).sum(dim=1)


class PairAgreement(Validator):
    """Share of TI pairs, in [0, 1], whose target half is predicted as the source model predicts the source half.

    What the source model predicts for an object of another class is not true. But the object is the same in both
    halves, so a model that reads the new sensor well repeats the prediction. No label and no score of the target images
    is involved. A method trained on the pairs has seen them, so the score favours such methods. A collapsed model
    scores the share of the class that it predicts.
    """

    reads: ClassVar[tuple[str, ...]] = ("pairs",)

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank, pairs: PairBanks | None = None) -> float:
        del bank, source_bank
        if pairs is None:
            raise TypeError("pair-agreement compares the halves of TI pairs; give `pairs`")
        return pairs.agreement


class AugmentationConsistency(Validator):
    """Share of images, in [0, 1], that keep their prediction when cropped and flipped at random.

    A collapsed model scores 1. For a method that answers while it adapts, these answers are compared with those of the
    model that it left.
    """

    reads: ClassVar[tuple[str, ...]] = ("augmented",)

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank, augmented: FeatureBank | None = None) -> float:
        del source_bank
        if augmented is None:
            raise TypeError("augmentation-consistency compares with a bank of augmented images; give `augmented`")
        return float((bank.predictions == augmented.predictions).float().mean())


class Balance(Validator):
    """Entropy of the histogram of predicted classes over log K, in [0, 1]; 0 is a full collapse."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        classes = bank.logits.shape[1]
        if classes == 1:
            return 1.0
        share = torch.bincount(bank.predictions, minlength=classes).cpu().double() / len(bank.predictions)
        return float(entropy(share, epsilon=1e-300)) / math.log(classes)
