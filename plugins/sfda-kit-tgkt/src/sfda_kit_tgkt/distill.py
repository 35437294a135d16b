"""L_KL of TGKT: the target model learns what the frozen source model answers on bridged images.

Paper: https://arxiv.org/abs/2401.05014 (IEEE TIP 34, 2025).

Equation: L_KL = mean_i KL(p_s(T(x_i)) || p_t(x_i)), teacher detached. The direction is ours (the paper's is
not known to us): it makes the target model cover whatever the teacher holds possible.

Option ``temperature`` tau (default 1.0, ours): both softmaxes are taken at logits / tau and the term is
multiplied by tau^2, which keeps the size of its gradient (Hinton et al., https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from sfda_kit.errors import UserError
from sfda_kit.interfaces import Aligner

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adapt.signals import StepSignals


class Distill(Aligner):
    """KL divergence in nats from the teacher's to the target model's softmax, (module docstring)."""

    def __init__(self, temperature: float = 1.0) -> None:
        if temperature <= 0:
            raise UserError(f"distill: temperature is {temperature}, expected a number greater than 0.")
        self.temperature = temperature

    def __call__(self, signals: StepSignals) -> Tensor:
        """Scalar >= 0; gradients reach the adapting network only."""
        teacher = (signals.teacher_logits.detach() / self.temperature).log_softmax(dim=1)
        student = (signals.target_logits / self.temperature).log_softmax(dim=1)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * self.temperature**2
