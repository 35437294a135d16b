"""Aligner ``ti-predictions``: both halves of a TI pair are predicted alike.

Source: the loss is knowledge distillation (Hinton, Vinyals, Dean, https://arxiv.org/abs/1503.02531, section 2.1). Its
use on TI pairs is ours, beside the feature distance of SOCKET (https://arxiv.org/abs/2209.04027) and TGKT
(https://arxiv.org/abs/2401.05014).

Equation: p_s is the softmax of the frozen source network on the source half a_i and p_t that of the adapting network on
the target half b_i, both at logits / tau:

    L = tau^2 mean_i KL(p_s(a_i) || p_t(b_i))

No pair shows one of the K classes. But p_s says which of them the object resembles, and the adapting network learns
this. A higher tau tells more of the unlikely classes.

Default: tau = 1 (ours; not tuned).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit import Aligner, distillation_loss, positive_temperature

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

__all__ = ["TiPredictions", "distillation_loss"]


class TiPredictions(Aligner):
    """``distillation_loss`` of the halves of TI pairs. Option ``temperature`` tau (1.0)."""

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = positive_temperature(temperature, "ti-predictions")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0 in nats; gradients reach the adapting network only."""
        return distillation_loss(signals.ti_source_logits, signals.ti_target_logits, self.temperature)
