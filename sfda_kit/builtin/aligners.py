"""Loss terms that more than one method uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
import torch.nn.functional as F

from sfda_kit.adaptation.information import information_maximisation
from sfda_kit.errors import UserError
from sfda_kit.interfaces.aligner import Aligner

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.step_signals import StepSignals

Reduction = Literal["mean", "rms", "frobenius"]


class InfoMax(Aligner):
    """L_IM = mean_i H(p_i) - diversity * H(mean_i p_i): each prediction is confident, all together are diverse.

    Source: SHOT, ICML 2020 (https://arxiv.org/abs/2002.08546), equation 4; epsilon 1e-5 inside the logarithm. Option
    ``diversity`` (default 1.0) weighs the second part.
    """

    def __init__(self, diversity: float = 1.0) -> None:
        self.diversity = diversity

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in nats, at least -log K for ``diversity`` 1."""
        return information_maximisation(signals.target_probabilities, self.diversity)


class TiFeatures(Aligner):
    """The distance of the two halves of TI pairs: frozen F_s(a) against adapting F_t(b), bottleneck features (B', D).

    With d_i = F_t(b_i) - F_s(a_i), the option ``reduction`` is one of

    * ``mean`` (default): mean of d squared over images and features. The bottleneck ends in BatchNorm, so each feature
      has a variance near 1, and the term lies between 0 and about 2 (unrelated halves) for any batch size and width,
      which is the scale of a cross-entropy;
    * ``rms``: sqrt(mean_i ||d_i||^2), the Frobenius norm over sqrt(B'); it does not depend on the batch size;
    * ``frobenius``: ||d||_F over the whole batch, neither squared nor averaged; it grows as sqrt(B').

    Sources: TGKT (https://arxiv.org/abs/2401.05014) names the distance without its form, so the mean is ours. SOCKET
    (https://arxiv.org/abs/2209.04027) uses the Frobenius norm.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in get_args(Reduction):
            allowed = ", ".join(get_args(Reduction))
            raise UserError(f"ti-features: reduction is {reduction!r}, expected one of {allowed}.")
        self.reduction = reduction

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network only."""
        adapting, source = signals.ti_target_features, signals.ti_source_features
        if self.reduction == "mean":
            return F.mse_loss(adapting, source)
        norm: Tensor = torch.linalg.vector_norm(adapting - source)
        return norm if self.reduction == "frobenius" else norm / len(source) ** 0.5
