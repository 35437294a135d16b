"""The probe: logistic regression on the source model's features of a few labelled target images of each class.

It says how many labels a method is worth: the board compares its rows for several numbers of labels with each method.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.errors import UserError
from sfda_kit.evaluate.core_method import LabelledMethod
from sfda_kit.interfaces.method import EpochState
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import AdaptedModel, replace_weights

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.models.network import Network

STRENGTH = 1.0
"""scikit-learn's C, its default. No label chooses another."""
NEVER = -1e3
"""The logit of a class of which no label was drawn."""
_STREAM = 8


class Probe(LabelledMethod):
    """A probe learns a classifier from ``labels`` target training images of each class; the features stay.

    The seed of the run draws the images. A class with fewer images gives all it has.
    """

    recipe: ClassVar[Recipe] = Recipe()

    def __init__(self, labels: int = 5) -> None:
        if isinstance(labels, bool) or not isinstance(labels, int) or labels < 1:
            raise UserError(f"probe: labels is {labels!r}, expected a whole number from 1: the labels of each class.")
        self.labels = labels

    def check(self, network: Network) -> None:
        """Raise ``UserError`` where several source models have a classifier each."""
        if not isinstance(network.classifier, nn.Linear):
            raise UserError(
                "probe learns one classifier, and several source models have their own each. Give one card."
            )

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state, that of the new classifier."""
        model = AdaptedModel(context.input_bridge, context.network)
        size, autocast = context.config.evaluation_batch_size, context.autocast
        features = fill_bank(model, context.target, size, autocast).features.double().cpu()
        labels = self.labelled.labels.cpu()
        rows = drawn(labels.numpy(), self.labels, context.seed)
        weights, bias = fitted(features, labels, rows, context.network.class_count)
        classifier = context.network.classifier
        assert isinstance(classifier, nn.Linear), "check() has refused several classifiers"
        replace_weights(classifier, weights.to(classifier.bias), bias.to(classifier.bias))
        bank = fill_bank(model, context.target, size, autocast)
        yield EpochState("probe", 1, 1, model, bank, {"labelled_images": float(len(rows))})


def drawn(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return sorted rows of ``labels`` (N,): ``count`` of each class, or all of a class that has fewer.

    The rows of a smaller count are among those of a larger one.
    """
    order = np.random.default_rng([seed, _STREAM]).permutation(len(labels))
    rows = [order[labels[order] == code][:count] for code in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def fitted(features: Tensor, labels: Tensor, rows: NDArray[np.int64], classes: int) -> tuple[Tensor, Tensor]:
    """Return weights (K, D) and bias (K,) of the logistic regression on ``rows`` of ``features`` (N, D), float64.

    Each dimension is standardised over all N images, which needs no label. Raises ``UserError`` for a single class.
    """
    from sklearn.linear_model import LogisticRegression

    known = np.unique(labels.numpy()[rows])
    if len(known) < 2:
        raise UserError("probe: the target training images are all of one class, so there is nothing to tell apart.")
    deviation, mean = torch.std_mean(features, dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    inputs = ((features - mean) / deviation).numpy()[rows]
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(inputs, labels.numpy()[rows])
    found, shift = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
    if len(known) == 2:  # scikit-learn gives the difference of the two logits
        found, shift = torch.cat([-found, found]) / 2, torch.cat([-shift, shift]) / 2
    weights, bias = features.new_zeros(classes, features.shape[1]), features.new_full((classes,), NEVER)
    weights[known] = found / deviation
    bias[known] = shift - weights[known] @ mean
    return weights, bias
