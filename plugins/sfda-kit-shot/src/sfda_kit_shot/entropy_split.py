"""Labeler ``entropy-split``: the confident part of each class keeps its labels, the rest has none.

Source: Liang et al., TPAMI 2021 (https://arxiv.org/abs/2012.07297), section 3.4 ("labeling transfer").

Equations (our notation). y_i = argmax_c p_ic: the network's own prediction, n_c: how many images have y_i = c, and
H_i = - sum_c p_ic log(p_ic + 1e-5). The share s is that of the images with H_i below the mean of H. The floor(n_c s)
images of least entropy of each class c are *easy* (weight 1), all others *hard* (weight 0). A class of few images may
have none that is easy.

There is no option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sfda_kit import PseudoLabeler, PseudoLabels, entropy

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank


class EntropySplit(PseudoLabeler):
    """Predictions with weight 1 (easy) or 0 (hard)."""

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images with weights 0 or 1."""
        uncertainty = entropy(bank.probabilities)
        share = int((uncertainty < uncertainty.mean()).sum()) / len(uncertainty)
        return PseudoLabels(bank.predictions, least_of_each_class(uncertainty, bank.predictions, share))


def least_of_each_class(values: Tensor, labels: Tensor, share: float) -> Tensor:
    """Return 1 for the floor(n ``share``) least of the n ``values`` of each class in ``labels``, else 0; (N,)."""
    chosen = torch.zeros_like(values)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero()[:, 0]
        chosen[rows[values[rows].argsort(stable=True)[: int(share * len(rows))]]] = 1
    return chosen
