"""Aligner ``ti-coral``: second-order statistics of both halves of TI pairs agree.

Source: Sun, Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV workshops 2016
(https://arxiv.org/abs/1607.01719), equations 1 to 3.

Equation: C_s is the covariance (divided by n - 1) of the bottleneck features of the frozen source network on the source
halves, C_t that of the adapting network on the target halves, with D features:

    L = ||C_s - C_t||_F^2 / (4 D^2)

The mean plays no part, and neither does which halves belong together. Divided by 4 D^2 the term is small (D = 256: a
difference of 1 in every entry gives 1/4), so it needs a larger weight than a cross-entropy. The paper's own rule is a
weight that makes both losses about equal at the end of training.

There is no option. The term aligns bottleneck features, on pairs without labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit import Aligner, check_shapes, without_autocast
from sfda_kit_alignment.samples import require_two_rows

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals


class TiCoral(Aligner):
    """``coral_loss`` of the halves of TI pairs."""

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network only."""
        return coral_loss(signals.ti_source_features, signals.ti_target_features)


def coral_loss(source_features: Tensor, target_features: Tensor) -> Tensor:
    """Return ||C_s - C_t||_F^2 / (4 D^2) >= 0, 0-d, for samples (n, D) and (m, D) with covariances C_s and C_t.

    The covariances are divided by n - 1 and m - 1, and computed in full precision. No gradient reaches the source.
    Raises ``UserError`` for other shapes and with less than two rows on a side. Source: Sun, Saenko, "Deep CORAL",
    2016 (https://arxiv.org/abs/1607.01719), equations 1 to 3.
    """
    check_shapes("coral_loss", source_features=(source_features, "n D"), target_features=(target_features, "m D"))
    require_two_rows(source_features, target_features, "coral_loss", "ti-coral")
    with without_autocast(target_features.device):
        difference = covariance(source_features.detach()) - covariance(target_features)
        return difference.square().sum() / (4 * target_features.shape[1] ** 2)


def covariance(samples: Tensor) -> Tensor:
    """Return the covariance (D, D) of ``samples`` (n, D), divided by n - 1."""
    centred = samples - samples.mean(dim=0)
    return centred.T @ centred / (len(samples) - 1)
