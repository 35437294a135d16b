"""Labeler ``entropy-split``: the confident part of each class keeps its labels, the rest has none.

Source: Liang et al., TPAMI 2021 (https://arxiv.org/abs/2012.07297), section 3.4 ("labeling transfer").

Equations (our notation). y_i = argmax_c p_ic: the network's own prediction, H_i: entropy of p_i, n_c: how many images
have y_i = c. With the share rho, the ceil(rho n_c) images of least entropy of each class c are *easy* (weight 1), all
others *hard* (weight 0). So no class is left out because the network is less sure of it.

Default: rho is the share of all images whose entropy is at most the mean entropy [ours: the paper's rule is known to us
only so far as that it parts each class by entropy]. A class that is predicted has an easy image at least.
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
    """Predictions with weight 1 (easy) or 0 (hard) of the module docstring.

    Option ``share`` rho in (0, 1] (null: that of the images whose entropy is at most the mean).
    """

    def __init__(self, share: float | None = None) -> None:
        if share is not None and not 0 < share <= 1:
            raise UserError(
                f"entropy-split: share is {share!r}, expected a number above 0 and up to 1, or null for the share of "
                "images whose entropy is at most the mean."
            )
        self.share = share

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Labels of all N images, weights 0 or 1."""
        uncertainty = entropy(bank.probabilities)
        share = float((uncertainty <= uncertainty.mean()).double().mean()) if self.share is None else self.share
        return PseudoLabels(bank.predictions, least_of_each_class(uncertainty, bank.predictions, share))


def least_of_each_class(values: Tensor, labels: Tensor, share: float) -> Tensor:
    """1 for the ``share`` of each class with the least values, at least one image, else 0; (N,)."""
    chosen = torch.zeros_like(values)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero()[:, 0]
        # Counted to a millionth, so that the rounding of a share such as 0.7 of 10 adds no image.
        count = max(1, math.ceil(round(share * len(rows), 6)))
        chosen[rows[values[rows].argsort(stable=True)[:count]]] = 1
    return chosen
