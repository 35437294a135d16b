"""Normalisation layers: which of them a method changes, and the target's own statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sfda_kit import UserError, evaluation_mode, frozen_running_statistics, steps_per_epoch

if TYPE_CHECKING:
    from sfda_kit import AdaptedModel, ImageView


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Return the BatchNorm layers of any dimension with running statistics, in the order of the module tree."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def even_batches(rows: Tensor, size: int, method: str) -> tuple[Tensor, ...]:
    """Split all ``rows`` into batches of ``size`` up to less than twice that: none is left out, none is tiny.

    Raises ``UserError`` for a single row, because batch statistics of one image are undefined.
    """
    if len(rows) < 2:
        raise UserError(f"{method} takes statistics over target images; it needs two or more and got {len(rows)}.")
    return torch.tensor_split(rows, steps_per_epoch(len(rows), max(2, size)))


@torch.no_grad()
def adopt_target_statistics(model: AdaptedModel, view: ImageView, batch_size: int, method: str) -> None:
    """Replace the running statistics of the network's BatchNorm layers by those of all images of ``view``.

    This takes one pass with the test transform. Mean and (biased) variance of each layer's input are pooled over all
    images; within the pass each batch is normalised by its own statistics. Nothing else changes, modes included;
    without a BatchNorm layer there is no pass.
    """
    layers = batch_norms(model.network)
    batches = even_batches(torch.arange(len(view)), batch_size, method)
    if not layers:
        return
    with evaluation_mode(model), frozen_running_statistics(model.network), _pooled(layers) as pools:
        for layer in layers:
            layer.train()
        for rows in batches:
            model(view.batch(rows))
    for layer, pool in zip(layers, pools, strict=True):
        if pool.count:  # a layer that never ran (an unused head) keeps its statistics
            layer.running_mean.copy_(pool.mean)  # type: ignore[union-attr]
            layer.running_var.copy_(pool.spread / pool.count)  # type: ignore[union-attr]


class _Pool:
    """A pool joins count, mean and summed squared deviation of a channel's values over batches (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.spread = torch.zeros((), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Add the values of a batch (B, C, ...)."""
        dimensions = [d for d in range(values.ndim) if d != 1]
        variance, mean = (v.cpu().double() for v in torch.var_mean(values.float(), dim=dimensions, correction=0))
        count = values.numel() // values.shape[1]
        total, step = self.count + count, mean - self.mean
        self.spread = self.spread + variance * count + step.square() * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total


@contextmanager
def _pooled(layers: list[_BatchNorm]) -> Iterator[list[_Pool]]:
    """Pool the inputs of ``layers`` while open."""
    pools = [_Pool() for _ in layers]
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, pool=pool: pool.add(inputs[0]))
        for layer, pool in zip(layers, pools, strict=True)
    ]
    try:
        yield pools
    finally:
        for handle in handles:
            handle.remove()
