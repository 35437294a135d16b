"""Pseudo-labels, which are checked as they come from the labeler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfda_kit.interfaces.pseudo_labeler import PseudoLabels
from sfda_kit.plugins.boundary import call, refuse
from sfda_kit.plugins.tensors import described

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.interfaces.pseudo_labeler import PseudoLabeler


def checked_labels(labeler: PseudoLabeler, bank: FeatureBank) -> PseudoLabels:
    """Return the labels of ``labeler`` for ``bank``. Raises ``PartError`` where they are not as its contract says."""
    found = call(labeler, labeler, bank)
    images, classes = bank.logits.shape
    if not isinstance(found, PseudoLabels):
        refuse(labeler, described(found), "PseudoLabels")
    labels, weights = found.labels, found.weights
    if not isinstance(labels, Tensor) or labels.dtype is not torch.int64 or labels.shape != (images,):
        refuse(labeler, f"labels {described(labels)}", f"torch.int64 ({images},), one for each image of the bank")
    if not isinstance(weights, Tensor) or not weights.is_floating_point() or weights.shape != (images,):
        refuse(labeler, f"weights {described(weights)}", f"floating point ({images},), one for each image of the bank")
    if labels.is_meta:  # tensors without values, in trials of the shapes
        return found
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        refuse(labeler, f"labels from {least} to {most}", f"0 to {classes - 1}; a weight of 0 leaves an image out")
    if not (weights.isfinite() & (weights >= 0)).all():
        refuse(labeler, "weights below 0 or not finite", "finite weights of at least 0")
    return found
