"""Nearest-centroid pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import torch
import torch.nn.functional as F

from sfda_kit.adaptation.row_blocks import by_row_blocks, sum_over_row_blocks
from sfda_kit.adaptation.shapes import check_shapes
from sfda_kit.errors import UserError
from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler, PseudoLabels

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.feature_bank import FeatureBank

Metric = Literal["cosine", "euclidean"]
EPSILON = 1e-8
"""The number added to the mass of a class, as in SHOT."""


class Centroid(PseudoLabeler):
    """``centroid_labels``. Options ``rounds`` (2) and ``metric`` (cosine)."""

    def __init__(self, rounds: int = 2, metric: Metric = "cosine") -> None:
        _check_options(rounds, metric, "centroid")
        self.rounds = rounds
        self.metric: Metric = metric

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images, with weights 1."""
        return PseudoLabels(*centroid_labels(bank.features, bank.logits, self.rounds, self.metric))


def centroid_labels(
    features: Tensor, logits: Tensor, rounds: int = 2, metric: Metric = "cosine"
) -> tuple[Tensor, Tensor]:
    """Return labels, int64 (N,), and weights (N,), all 1, of N images with features (N, D) and logits (N, K).

    Each image gets the class of the nearest centroid. The first centroids are means weighted by the softmax, c_k =
    sum_i p_ik f_i / (1e-8 + sum_i p_ik); each later one of the ``rounds`` uses the labels of the round before. A class
    that no image has as its most likely one is dropped. In a later round a class that lost its last image is dropped
    too. ``metric``: ``cosine`` (f_i is the feature with a 1 appended, scaled to unit length) or ``euclidean`` (f_i is
    the plain feature).

    Raises ``UserError`` for other shapes, ``rounds`` below 1 and another ``metric``. Source: SHOT, ICML 2020
    (https://arxiv.org/abs/2002.08546), section 3.3.
    """
    check_shapes("centroid_labels", features=(features, "N D"), logits=(logits, "N K"))
    _check_options(rounds, metric, "centroid_labels")
    classes = logits.shape[1]
    centroids = _centroids(features, lambda rows: logits[rows].softmax(dim=1), metric)
    labels = _assign(features, centroids, _present(logits.argmax(dim=1), classes), metric)
    for _ in range(rounds - 1):
        centroids = _centroids(features, partial(_one_hot, labels, features, classes), metric)
        labels = _assign(features, centroids, _present(labels, classes), metric)
    return labels, torch.ones(len(labels), device=labels.device)


def _check_options(rounds: int, metric: Metric, name: str) -> None:
    if rounds < 1 or metric not in get_args(Metric):
        raise UserError(
            f"{name}: got rounds={rounds!r}, metric={metric!r}; expected rounds of at least 1 and "
            f"metric one of {', '.join(get_args(Metric))}."
        )


def _points(features: Tensor, metric: Metric) -> Tensor:
    """Return what is compared of ``features`` (B, D)."""
    return features if metric == "euclidean" else F.normalize(F.pad(features, (0, 1), value=1.0), dim=1)


def _one_hot(labels: Tensor, like: Tensor, classes: int, rows: slice) -> Tensor:
    return F.one_hot(labels[rows], classes).to(like)


def _centroids(features: Tensor, membership: Callable[[slice], Tensor], metric: Metric) -> Tensor:
    """Return the means (K, D') of all points, weighted by ``membership``, which gives the (B, K) of some rows."""
    total = sum_over_row_blocks(lambda rows: membership(rows).T @ _points(features[rows], metric), len(features))
    mass = sum_over_row_blocks(lambda rows: membership(rows).sum(dim=0), len(features))
    return total / (EPSILON + mass[:, None])


def _assign(features: Tensor, centroids: Tensor, allowed: Tensor, metric: Metric) -> Tensor:
    """Return the allowed class (N,) whose centroid is nearest."""
    unit = F.normalize(centroids, dim=1).T

    def nearest(rows: Tensor) -> Tensor:
        points = _points(rows, metric)
        nearness = -torch.cdist(points, centroids) if metric == "euclidean" else points @ unit
        return nearness.masked_fill(~allowed, -torch.inf).argmax(dim=1)

    return by_row_blocks(nearest, features)


def _present(labels: Tensor, classes: int) -> Tensor:
    """Return which classes occur in ``labels``, bool (K,)."""
    return torch.bincount(labels, minlength=classes) > 0
