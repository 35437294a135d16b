"""Label-free scores. Each can be fooled by a collapsed model except ``balance``: read them together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from sfda_kit.builtin.information import entropy, information_maximisation
from sfda_kit.interfaces import Validator

if TYPE_CHECKING:
    from sfda_kit.adapt.bank import FeatureBank


class Entropy(Validator):
    """Negative mean entropy of the predictions, in [-log K, 0] nats. A collapsed model scores 0."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        return -float(entropy(bank.probabilities).mean())


class InfoMax(Validator):
    """H(mean p) - mean H(p), in [0, log K] nats: the mutual information of image and prediction."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        return -float(information_maximisation(bank.probabilities))


class SourceAgreement(Validator):
    """Share of images, in [0, 1], that keep the source model's prediction. Its optimum is no adaptation."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        return float((bank.predictions == source_bank.predictions).float().mean())


class Balance(Validator):
    """Entropy of the histogram of predicted classes over log K, in [0, 1]; 0 is a full collapse."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        del source_bank
        classes = bank.logits.shape[1]
        if classes == 1:
            return 1.0
        share = torch.bincount(bank.predictions, minlength=classes).cpu().double() / len(bank.predictions)
        return float(entropy(share, epsilon=1e-300)) / math.log(classes)
