"""The TGMB objective, which trains a bridge T.

Paper: Zhu, Chen, Wang, "Source-Free Cross-Modal Knowledge Transfer by Unleashing the Potential of Task-Irrelevant
Data", https://arxiv.org/abs/2401.05014 (IEEE TIP 34, 2025), TGMB ("task-irrelevant data-guided modality bridging"). The
source network F is frozen; a and b are the source and target halves of TI pairs, x are unlabelled target images.

    L = w_rec L_rec + w_feat L_feat + w_adv L_adv + w_im L_im

* ``reconstruction``: mean of (T(b) - a)^2 in the source model's normalised input space;
* ``features`` (ours): mean of (F(T(b)) - F(a))^2 over mean of F(a)^2, bottleneck features. This is a relative error, 1
  for T(b) that carry nothing, whatever the width or scale of F. A pixel error alone may blur what F needs;
* ``adversarial``: a discriminator D separates a from T(x), and T learns to fool it: the mean of -log D(a) and
  -log (1 - D(T(x))), log 2 when D cannot tell them apart. Option ``level`` says what D sees (``discriminators.py``):
  ``shallow`` (default) feature maps of F, one logit per location; ``pixels``, one per patch (PatchGAN); ``bottleneck``
  features of F;
* ``infomax``: mean_i H(p_i) - H(mean_i p_i) of F's softmax on T(x), epsilon 1e-5.

Default weights (ours): 1.0, 1.0, 0.1, 0.3. The paper's objective has no ``features`` term: set it to 0.

One backward pass trains both sides of ``adversarial``: the gradient is reversed between D and T. The weight of the term
scales what D and T receive alike. The bridge is trained with an optimiser of the Adam family, whose step does not
depend on the scale of a gradient, so D learns at full speed for any weight. ``reversal`` (default 1.0) scales only the
part of T, for those who train with another optimiser: then give the term the weight 1 and let ``reversal`` be its
strength. Deviations stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from sfda_kit import Bridge, BridgeObjective, domain_loss, information_maximisation
from sfda_kit_tgkt.discriminators import Level, discriminator, known_level

if TYPE_CHECKING:
    from sfda_kit import BridgeSignals, Network

DEFAULT_OBJECTIVE = {"reconstruction": 1.0, "features": 1.0, "adversarial": 0.1, "infomax": 0.3}


class TgmbBridge(Bridge):
    """A bridge trained with the TGMB objective; options ``reversal`` and ``level`` as in the module docstring."""

    default_objective = DEFAULT_OBJECTIVE

    def __init__(self, reversal: float = 1.0, level: Level = "shallow") -> None:
        super().__init__()
        self.reversal, self.level = reversal, known_level(level)

    def objective(self, source_network: Network) -> TgmbObjective:
        """Return the four terms with a new discriminator."""
        return TgmbObjective(source_network, self.reversal, self.level)


class TgmbObjective(BridgeObjective):
    """The terms of the module docstring; this objective holds the discriminator's parameters."""

    def __init__(self, source_network: Network, reversal: float = 1.0, level: Level = "shallow") -> None:
        super().__init__()
        self.reversal, self.level = reversal, level
        self.discriminator = discriminator(source_network, level)

    def terms(self) -> Mapping[str, Callable[[BridgeSignals], Tensor]]:
        """Return the unweighted terms by name."""
        return {
            "reconstruction": reconstruction,
            "features": features,
            "adversarial": self.adversarial,
            "infomax": infomax,
        }

    def adversarial(self, signals: BridgeSignals) -> Tensor:
        """Return L_adv >= 0 in nats; the discriminator descends on it, the bridge ascends."""
        return domain_loss(self.discriminator, *seen(signals, self.level), self.reversal)


def seen(signals: BridgeSignals, level: Level) -> tuple[Tensor, Tensor]:
    """Return what a discriminator at ``level`` compares: of the source halves a, and of T(x)."""
    if level == "pixels":
        return signals.ti_source_images, signals.bridged_target_images
    if level == "bottleneck":
        return signals.ti_source_features, signals.bridged_target_features
    return signals.ti_source_maps, signals.bridged_target_maps


def reconstruction(signals: BridgeSignals) -> Tensor:
    """Return L_rec >= 0."""
    return F.mse_loss(signals.bridged_ti_images, signals.ti_source_images)


def features(signals: BridgeSignals) -> Tensor:
    """Return L_feat >= 0, relative to the mean square of the source half's features."""
    wanted = signals.ti_source_features
    scale = wanted.square().mean().clamp_min(1e-12)
    return F.mse_loss(signals.bridged_ti_features, wanted) / scale


def infomax(signals: BridgeSignals) -> Tensor:
    """Return L_im >= -log K in nats."""
    return information_maximisation(signals.bridged_target_logits.softmax(dim=1))
