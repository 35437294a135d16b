"""Aligner ``ti-adversarial``: a discriminator cannot tell the halves of TI pairs apart by their features.

Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016
(https://arxiv.org/abs/1505.07818), sections 4.2 and 5.2.2.

Equation: x are bottleneck features of the frozen source network on the source halves, y those of the adapting network
on the target halves; D is a perceptron with two hidden layers:

    L = (mean -log D(x) + mean -log (1 - D(y))) / 2,   log 2 when D cannot tell them apart

D descends; the gradient of y is multiplied by -lambda, so that the network ascends (gradient reversal). As in the paper
lambda rises with the share p of the phase's steps done, lambda = reversal (2 / (1 + exp(-10 p)) - 1), so that D has no
influence on the network while it knows nothing. ``warm_up`` false keeps lambda = reversal throughout.

TI pairs show the same classes in both halves. So matching their distributions moves no class onto another, as it would
between TI and target images.

The phase's optimiser trains D: SGD at ``adapt.lr`` without a bottleneck's factor. Its steps follow the term's weight: a
smaller weight slows D down as well. Keep the weight at 1 and let ``reversal`` be the strength.

Defaults: ``reversal`` 1 and ``warm_up`` (the paper's), ``hidden`` 256 units (ours; the paper has 1024 on AlexNet).
Deviations stand in the declaration.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from sfda_kit import Aligner, UserError, domain_adversarial_loss, reverse_gradient

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import Network, StepSignals

__all__ = ["TiAdversarial", "domain_adversarial_loss", "reversal_strength"]
RISE = 10.0


class TiAdversarial(Aligner):
    """The adversarial loss of the module docstring. Options ``reversal`` (1.0), ``warm_up`` and ``hidden`` (256)."""

    discriminator: nn.Module

    def __init__(self, reversal: float = 1.0, warm_up: bool = True, hidden: int = 256) -> None:
        if reversal <= 0:
            raise UserError(f"ti-adversarial: reversal is {reversal}, expected a number greater than 0.")
        if hidden < 1:
            raise UserError(f"ti-adversarial: hidden is {hidden}, expected at least one unit.")
        self.reversal, self.warm_up, self.hidden = reversal, warm_up, hidden

    def own_module(self, network: Network) -> nn.Module:
        """Create and return the discriminator: features (B, D) -> logits (B, 1)."""
        width, hidden = network.feature_width, self.hidden
        self.discriminator = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        return self.discriminator

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0 in nats; the discriminator descends on it, the adapting network ascends."""
        strength = reversal_strength(signals.progress, self.reversal) if self.warm_up else self.reversal
        source_logits = self.discriminator(signals.ti_source_features)
        target_logits = self.discriminator(reverse_gradient(signals.ti_target_features, strength))
        return domain_adversarial_loss(source_logits, target_logits)


def reversal_strength(progress: float, reversal: float = 1.0) -> float:
    """Return lambda = reversal (2 / (1 + exp(-10 p)) - 1) after the share ``progress`` p in [0, 1] of the steps.

    It rises from 0 to nearly ``reversal`` and is meant for ``reverse_gradient``. Source: Ganin et al., JMLR 2016
    (https://arxiv.org/abs/1505.07818), section 5.2.2.
    """
    return reversal * (2.0 / (1.0 + math.exp(-RISE * progress)) - 1.0)
