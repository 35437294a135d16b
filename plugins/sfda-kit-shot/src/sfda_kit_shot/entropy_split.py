"""Labeler ``entropy-split``: the confident part of each class keeps its labels, the rest has none.

Source: Liang et al., TPAMI 2021 (https://arxiv.org/abs/2012.07297), section 3.4 ("labeling transfer").

Equations (our notation). y_i = argmax_c p_ic: the network's own prediction, H_i: entropy of p_i, n_c: how many images
have y_i = c. With the share rho, the ceil(rho n_c) images of least entropy of each class c are *easy* (weight 1), all
others *hard* (weight 0). So no class is left out because the network is less sure of it.

Default: rho is the share of all images whose entropy is at most the mean entropy [ours: of the paper's rule we know
only that it divides each class by entropy]. A class that is predicted has at least one easy image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from sfda_kit import PseudoLabeler, PseudoLabels, UserError, entropy

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank


class EntropySplit(PseudoLabeler):
    """Predictions with weight 1 (easy) or 0 (hard). Option ``share`` rho in (0, 1]; null is the default rule above."""

    def __init__(self, share: float | None = None) -> None:
        if share is not None and not 0 < share <= 1:
            raise UserError(
                f"entropy-split: share is {share!r}, expected a number above 0 and up to 1, or null for the share of "
                "images whose entropy is at most the mean."
            )
        self.share = share

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images with weights 0 or 1."""
        uncertainty = entropy(bank.probabilities)
        share = float((uncertainty <= uncertainty.mean()).double().mean()) if self.share is None else self.share
        return PseudoLabels(bank.predictions, least_of_each_class(uncertainty, bank.predictions, share))


def least_of_each_class(values: Tensor, labels: Tensor, share: float) -> Tensor:
    """Return 1 for the ``share`` of each class with the least values, at least one image, else 0; (N,)."""
    chosen = torch.zeros_like(values)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero()[:, 0]
        # Counted to a millionth, so that the rounding of a share such as 0.7 of 10 adds no image.
        count = max(1, math.ceil(round(share * len(rows), 6)))
        chosen[rows[values[rows].argsort(stable=True)[:count]]] = 1
    return chosen
