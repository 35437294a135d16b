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

from sfda_kit import PseudoLabeler, PseudoLabels, by_row_blocks, check_shapes, entropy

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank


class EntropySplit(PseudoLabeler):
    """``entropy_split_labels`` of the bank."""

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images with weights 0 or 1."""
        return PseudoLabels(*entropy_split_labels(bank.logits))


def entropy_split_labels(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the predicted classes, int64 (N,), and weights (N,), 1 (easy) or 0 (hard), of images with logits (N, K).

    With s, the share of images whose entropy is below the mean, the floor(n_c s) least uncertain of the n_c images of
    each predicted class c are easy. Raises ``UserError`` for another shape. Source: SHOT++, TPAMI 2021
    (https://arxiv.org/abs/2012.07297), section 3.4.
    """
    check_shapes("entropy_split_labels", logits=(logits, "N K"))
    labels, uncertainty = logits.argmax(dim=1), by_row_blocks(lambda rows: entropy(rows.softmax(dim=1)), logits)
    share = int((uncertainty < uncertainty.mean()).sum()) / len(uncertainty)
    return labels, least_of_each_class(uncertainty, labels, share)


def least_of_each_class(values: Tensor, labels: Tensor, share: float) -> Tensor:
    """Return 1 for the floor(n ``share``) least of the n ``values`` of each class in ``labels``, else 0; (N,)."""
    chosen = torch.zeros_like(values)
    for label in torch.unique(labels):
        rows = (labels == label).nonzero()[:, 0]
        chosen[rows[values[rows].argsort(stable=True)[: int(share * len(rows))]]] = 1
    return chosen
