"""L_KL of TGKT: the target model learns what the frozen source model answers on bridged images.

Paper: https://arxiv.org/abs/2401.05014 (IEEE TIP 34, 2025).

Equation: L_KL = mean_i KL(p_s(T(x_i)) || p_t(x_i)), without gradient to the teacher. The direction is ours (the paper's
is not known to us): it makes the target model cover whatever the teacher holds possible.

Option ``temperature`` tau (default 1.0, ours): both softmaxes are computed at logits / tau and the term is multiplied
by tau^2, which keeps the size of its gradient (Hinton et al., https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit import Aligner, distillation_loss, positive_temperature

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

__all__ = ["Distill", "distillation_loss"]


class Distill(Aligner):
    """``distillation_loss`` from the teacher on bridged images to the target model. Option ``temperature`` (1.0)."""

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = positive_temperature(temperature, "distill")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network only."""
        return distillation_loss(signals.teacher_logits, signals.target_logits, self.temperature)
