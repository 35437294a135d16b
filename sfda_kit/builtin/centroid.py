"""Nearest-centroid pseudo-labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
import torch.nn.functional as F

from sfda_kit.errors import UserError
from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.feature_bank import FeatureBank

Metric = Literal["cosine", "euclidean"]
EPSILON = 1e-8
"""The number added to the mass of a class, as in SHOT."""


class Centroid(PseudoLabeler):
    """Each image gets the class of the nearest centroid; all weights are 1.

    Source: SHOT, ICML 2020 (https://arxiv.org/abs/2002.08546), section 3.3. The first centroids are means weighted by
    the network's softmax, c_k = sum_i p_ik f_i / (1e-8 + sum_i p_ik); each later round uses the labels of the round
    before. A class that no image has as its most likely one is dropped. In a later round a class that lost its last
    image is dropped too.

    Options: ``rounds`` of assignment (default 2); ``metric``, ``cosine`` (default: f_i is the feature with a 1
    appended, scaled to unit length) or ``euclidean`` (f_i is the plain feature).
    """

    def __init__(self, rounds: int = 2, metric: Metric = "cosine") -> None:
        if rounds < 1 or metric not in get_args(Metric):
            raise UserError(
                f"centroid: got rounds={rounds!r}, metric={metric!r}; expected rounds of at least 1 and "
                f"metric one of {', '.join(get_args(Metric))}."
            )
        self.rounds = rounds
        self.metric = metric

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images, with weights 1."""
        features = self._points(bank.features)
        classes = bank.logits.shape[1]
        allowed = _present(bank.predictions, classes)
        labels = self._assign(features, bank.probabilities, allowed)
        for _ in range(self.rounds - 1):
            allowed = _present(labels, classes)
            labels = self._assign(features, F.one_hot(labels, classes).to(features), allowed)
        return PseudoLabels(labels, torch.ones(len(labels), device=labels.device))

    def _points(self, features: Tensor) -> Tensor:
        if self.metric == "euclidean":
            return features
        return F.normalize(F.pad(features, (0, 1), value=1.0), dim=1)

    def _assign(self, features: Tensor, membership: Tensor, allowed: Tensor) -> Tensor:
        """Return the nearest allowed class (N,), for centroids weighted by ``membership`` (N, K)."""
        mass = membership.sum(dim=0)[:, None]
        centroids = membership.T @ features / (EPSILON + mass)
        if self.metric == "euclidean":
            nearness = -torch.cdist(features, centroids)
        else:
            nearness = features @ F.normalize(centroids, dim=1).T
        return nearness.masked_fill(~allowed, -torch.inf).argmax(dim=1)


def _present(labels: Tensor, classes: int) -> Tensor:
    """Return which classes occur in ``labels``, bool (K,)."""
    return torch.bincount(labels, minlength=classes) > 0
