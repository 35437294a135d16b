"""L_BN of SOCKET: the target batch's statistics against those stored in the source model.

Paper: Ahmed, Lohit, Peng, Jones, Roy-Chowdhury, "Cross-Modal Knowledge Transfer Without Task-Relevant Source Data",
ECCV 2022, https://arxiv.org/abs/2209.04027

The equations are those of ``bn_statistics_loss``. With the option ``fading`` the term is sigmoid(w) times the sum, as
in the official form, where w is a scalar that begins at 1 and is trained with the network. Since the term shrinks with
w, it switches itself off: the factor is 0.73 at first, and the sooner near 0 the larger the sum is.

The form ``mean`` (the default, ours): the official sum grows with depth, with width and with the square of the
activations' scale, so a weight found for one backbone fits no other. Therefore each layer's two distances are relative
to the size of what they are compared with, and the layers are averaged. Both fractions have no unit, and a layer whose
activations are scaled by any factor gives the same value. The norms are divided, not the channels: a channel that was
nearly constant on the source images (a variance near 0) cannot dominate the term.

Deviations stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from torch import nn

from sfda_kit import Aligner, UserError, require_batch_norm

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import BatchNormStatistics, Network, StepSignals

Reduction = Literal["mean", "sum"]
EPSILON = 1e-6


class BnStats(Aligner):
    """``bn_statistics_loss`` of the target pass.

    Options: ``reduction`` (mean or sum), ``first_weight`` (m_1, 10), ``fading`` (False).
    """

    reads: ClassVar[tuple[str, ...]] = ("batch_statistics",)

    def __init__(self, reduction: Reduction = "mean", first_weight: float = 10.0, fading: bool = False) -> None:
        self.reduction = _known(reduction, "bn-stats")
        self.first_weight = first_weight
        self.factor = FadingFactor() if fading else None

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network through its target pass."""
        statistics = signals.batch_statistics, signals.source_statistics
        loss = bn_statistics_loss(*statistics, self.reduction, self.first_weight)
        return loss if self.factor is None else self.factor() * loss

    def own_module(self, network: Network) -> nn.Module | None:
        """Return the trained factor of a fading term, else None."""
        del network
        return self.factor

    def check(self, network: nn.Module) -> None:
        """Raise ``UserError`` when ``network`` has no BatchNorm2d layer."""
        require_batch_norm(network, "bn-stats")


def bn_statistics_loss(
    batch: Sequence[BatchNormStatistics],
    source: Sequence[BatchNormStatistics],
    reduction: Reduction = "mean",
    first_weight: float = 10.0,
) -> Tensor:
    """Return L_BN >= 0, 0-d: how far ``batch`` is from the statistics that the ``source`` model stores.

    Each holds mean and biased variance (C,) of the inputs of every BatchNorm2d layer l, in the same order. ``with
    captured_statistics(network) as batch: network(images)`` measures them, with gradients, and
    ``stored_statistics(source_network)`` reads the source model's. m_l is ``first_weight`` for the first layer of a
    backbone, and 1 for all others.

    ``reduction`` "sum", the official form without its trained factor:
        L_BN = sum_l m_l (||mu_l - mu_l^src||_2 + ||var_l - var_l^src||_2)
    "mean" (ours):
        d_l  = ||mu_l - mu_l^src||_2 / ||std_l^src||_2 + ||var_l - var_l^src||_2 / ||var_l^src||_2
        L_BN = sum_l m_l d_l / sum_l m_l

    Raises ``UserError`` for another reduction, without a layer, and where the two differ in layers or channels. Source:
    SOCKET, ECCV 2022 (https://arxiv.org/abs/2209.04027).
    """
    _check_layers(batch, source)
    distance = relative_distance if _known(reduction, "bn_statistics_loss") == "mean" else absolute_distance
    weights = [first_weight if layer.is_first else 1.0 for layer in source]
    layers = zip(weights, batch, source, strict=True)
    total = reduce(torch.add, (weight * distance(mine, stored) for weight, mine, stored in layers))
    return total / sum(weights) if reduction == "mean" else total


def _check_layers(batch: Sequence[BatchNormStatistics], source: Sequence[BatchNormStatistics]) -> None:
    widths = [[tuple(layer.mean.shape) for layer in layers] for layers in (batch, source)]
    if not source or widths[0] != widths[1]:
        raise UserError(
            f"bn_statistics_loss: got {len(batch)} layers of the batch and {len(source)} of the source model; "
            "expected at least one, and the same number of layers and of channels in each, from the same architecture."
        )


def _known(reduction: Reduction, name: str) -> Reduction:
    if reduction not in get_args(Reduction):
        raise UserError(f"{name}: reduction is {reduction!r}, expected one of {', '.join(get_args(Reduction))}.")
    return reduction


class FadingFactor(nn.Module):
    """The factor sigmoid(w), in (0, 1); w begins at 1 and learns like a weight of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.scalar = nn.Parameter(torch.tensor(1.0))

    def forward(self) -> Tensor:
        """Return the factor, 0-d."""
        return self.scalar.sigmoid()


def absolute_distance(batch: BatchNormStatistics, source: BatchNormStatistics) -> Tensor:
    """Return ||mu - mu_src||_2 + ||var - var_src||_2 of one layer."""
    return _norm(batch.mean - source.mean) + _norm(batch.variance - source.variance)


def relative_distance(batch: BatchNormStatistics, source: BatchNormStatistics) -> Tensor:
    """Return ||mu - mu_src||_2 / ||std_src||_2 + ||var - var_src||_2 / ||var_src||_2 of one layer."""
    deviation = source.variance.sum().sqrt().clamp_min(EPSILON)
    variance = _norm(source.variance).clamp_min(EPSILON**2)
    mean_distance = _norm(batch.mean - source.mean) / deviation
    return mean_distance + _norm(batch.variance - source.variance) / variance


def _norm(values: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values)
    return norm
