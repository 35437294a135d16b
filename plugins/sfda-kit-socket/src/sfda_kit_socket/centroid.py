"""Labeler ``one-round-centroid``: the labels of SOCKET's code.

Source: Ahmed, Lohit, Peng, Jones, Roy-Chowdhury, ECCV 2022 (https://arxiv.org/abs/2209.04027), and the authors'
knowledge_transfer.py. SHOT's labels are those of ``centroid``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from sfda_kit import PseudoLabeler, PseudoLabels, by_row_blocks, check_shapes, sum_over_row_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank

EPSILON = 1e-8


class OneRoundCentroid(PseudoLabeler):
    """``one_round_centroid_labels`` of the bank. There is no option."""

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels of all N images, with weights 1."""
        return PseudoLabels(*one_round_centroid_labels(bank.features, bank.logits))


def one_round_centroid_labels(features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels, int64 (N,), and weights (N,), all 1, of N images with features (N, D) and logits (N, K).

    For the feature f_i of image i and its softmax p_i (our notation):

        u_i = [f_i, 1] / ||[f_i, 1]||,   c_k = sum_i p_ik u_i / (1e-8 + sum_i p_ik),   y_i = argmin_k ||u_i - c_k||

    The centroids are not scaled to unit length, there is one round, and every class takes part, also one that no image
    is predicted as. Raises ``UserError`` for other shapes. Source: the code of SOCKET, ECCV 2022
    (https://arxiv.org/abs/2209.04027).
    """
    check_shapes("one_round_centroid_labels", features=(features, "N D"), logits=(logits, "N K"))
    found = centroids(features, logits)
    labels = by_row_blocks(lambda rows: torch.cdist(_points(rows), found).argmin(dim=1), features)
    return labels, torch.ones(len(labels), device=labels.device)


def _points(features: Tensor) -> Tensor:
    """Return u_i, (B, D + 1), of features (B, D)."""
    return F.normalize(F.pad(features, (0, 1), value=1.0), dim=1)


def centroids(features: Tensor, logits: Tensor) -> Tensor:
    """Return c_k, (K, D + 1), of features (N, D) and logits (N, K)."""
    images = len(features)
    total = sum_over_row_blocks(lambda rows: logits[rows].softmax(dim=1).T @ _points(features[rows]), images)
    mass = sum_over_row_blocks(lambda rows: logits[rows].softmax(dim=1).sum(dim=0), images)
    return total / (EPSILON + mass[:, None])
