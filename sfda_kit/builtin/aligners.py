"""Loss terms that more than one method uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
import torch.nn.functional as F

from sfda_kit.adaptation.information import information_maximisation
from sfda_kit.adaptation.shapes import check_shapes
from sfda_kit.errors import UserError
from sfda_kit.interfaces.aligner import Aligner

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.step_signals import StepSignals

Reduction = Literal["mean", "rms", "frobenius"]


class InfoMax(Aligner):
    """``information_maximisation`` of the target batch. Option ``diversity`` (1.0) weighs the second part."""

    def __init__(self, diversity: float = 1.0) -> None:
        self.diversity = diversity

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in nats, at least -log K for ``diversity`` 1."""
        return information_maximisation(signals.target_probabilities, self.diversity)


class TiFeatures(Aligner):
    """``feature_matching_loss`` of the halves of TI pairs: frozen F_s(a) against adapting F_t(b), bottleneck features.

    Option ``reduction``: ``mean`` (default), ``rms`` or ``frobenius``. The bottleneck ends in BatchNorm, so each
    feature has a variance near 1, and the mean lies between 0 and about 2 (unrelated halves) for any batch size and
    width, which is the scale of a cross-entropy.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = _known(reduction, "ti-features")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network only."""
        return feature_matching_loss(signals.ti_source_features, signals.ti_target_features, self.reduction)


def feature_matching_loss(source_features: Tensor, target_features: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Return the distance >= 0, 0-d, of features (B, D) whose rows belong together.

    With the differences d_i of row i, ``reduction`` is one of

    * ``mean``: the mean of d squared over rows and features;
    * ``rms``: sqrt(mean_i ||d_i||^2), the Frobenius norm over sqrt(B); it does not depend on B;
    * ``frobenius``: ||d||_F over the whole batch, neither squared nor averaged; it grows as sqrt(B).

    No gradient reaches the source. Raises ``UserError`` for other shapes or another reduction. Sources: TGKT
    (https://arxiv.org/abs/2401.05014) names the distance without its form, so the mean is ours. SOCKET
    (https://arxiv.org/abs/2209.04027) uses the Frobenius norm.
    """
    source = source_features.detach()
    check_shapes("feature_matching_loss", source_features=(source, "B D"), target_features=(target_features, "B D"))
    if _known(reduction, "feature_matching_loss") == "mean":
        return F.mse_loss(target_features, source)
    norm: Tensor = torch.linalg.vector_norm(target_features - source)
    return norm if reduction == "frobenius" else norm / len(source) ** 0.5


def _known(reduction: Reduction, name: str) -> Reduction:
    if reduction not in get_args(Reduction):
        raise UserError(f"{name}: reduction is {reduction!r}, expected one of {', '.join(get_args(Reduction))}.")
    return reduction
