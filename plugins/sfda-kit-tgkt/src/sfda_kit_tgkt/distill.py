"""L_KL of TGKT: the target model learns what the frozen source model answers on bridged images.

Paper: https://arxiv.org/abs/2401.05014 (IEEE TIP 34, 2025).

Equation: L_KL = mean_i KL(p_s(T(x_i)) || p_t(x_i)), without gradient to the teacher. The direction is ours (the paper's
is not known to us): it makes the target model cover whatever the teacher holds possible.

Option ``temperature`` tau (default 1.0, ours): both softmaxes are computed at logits / tau and the term is multiplied
by tau^2, which keeps the size of its gradient (Hinton et al., https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit import Aligner, positive_temperature, softened_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals


class Distill(Aligner):
    """The KL divergence in nats from the teacher's softmax to the target model's (module docstring)."""

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = positive_temperature(temperature, "distill")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network only."""
        return softened_divergence(signals.teacher_logits, signals.target_logits, self.temperature)
