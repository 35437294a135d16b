"""Batch statistics at the input of each BatchNorm layer, measured during one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sfda_kit.errors import UserError
from sfda_kit.models.network import Network


class BatchNormStatistics(NamedTuple):
    """The per-channel ``mean`` and biased ``variance``, both (C,). ``is_first`` marks the first layer of a backbone."""

    mean: Tensor
    variance: Tensor
    is_first: bool = False


class _BatchMoments(torch.autograd.Function):
    """The mean and biased variance over (N, H, W) with a closed-form backward pass.

    On CPUs ``torch.var`` over three dimensions takes over ten times as long as the kernel of BatchNorm. That kernel
    gives the same numbers and centres the values first, so nothing cancels where the mean is much larger than the
    deviation. It has no derivative, so this class computes it.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        exact = images if images.dtype is torch.float64 else images.float()
        if exact.device.type == "cpu":
            mean, variance = torch.batch_norm_update_stats(exact, None, None, 0.0)
        else:
            variance, mean = torch.var_mean(exact, dim=(0, 2, 3), correction=0)
        ctx.save_for_backward(images, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        grad_mean, grad_variance = gradients
        images, mean = ctx.saved_tensors
        count = images.numel() // images.shape[1]
        slope = (2.0 / count * grad_variance)[:, None, None]
        offset = (grad_mean / count)[:, None, None] - slope * mean[:, None, None]
        return torch.addcmul(offset, images, slope)


def batch_norm_layers(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the BatchNorm2d layers in the order of the module tree."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def _first_layers(network: nn.Module) -> set[nn.Module]:
    """Return the first BatchNorm2d layer of each backbone. A mixture of source models has several backbones."""
    backbones = network.backbones() if isinstance(network, Network) else [network]
    return set(chain.from_iterable(islice(batch_norm_layers(backbone), 1) for backbone in backbones))


def require_batch_norm(network: nn.Module, wanted_by: str) -> None:
    """Raise ``UserError`` naming the term ``wanted_by`` where ``network`` has no BatchNorm2d layer."""
    if not batch_norm_layers(network):
        raise UserError(
            f"{wanted_by} compares BatchNorm statistics, but this backbone has no BatchNorm2d layer. "
            f"Use a backbone with BatchNorm (for example resnet10t or resnet50) or remove the term "
            f"(--aligner {wanted_by}=0)."
        )


def stored_statistics(network: nn.Module) -> list[BatchNormStatistics]:
    """Return the running statistics of each BatchNorm2d layer."""
    layers, first = batch_norm_layers(network), _first_layers(network)
    return [BatchNormStatistics(m.running_mean, m.running_var, m in first) for m in layers]  # type: ignore[arg-type]


@contextmanager
def captured_statistics(network: nn.Module) -> Iterator[list[BatchNormStatistics]]:
    """Collect the input statistics of each BatchNorm2d layer, with gradients, while the context is open.

    The list is filled when the context closes, in the order of the module tree. Layers may run in another order.
    """
    collected: list[BatchNormStatistics] = []
    by_layer: dict[nn.Module, BatchNormStatistics] = {}

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean, variance = _BatchMoments.apply(inputs[0])
        by_layer[module] = BatchNormStatistics(mean, variance, module in first)

    layers, first = batch_norm_layers(network), _first_layers(network)
    handles = [layer.register_forward_pre_hook(hook) for layer in layers]
    try:
        yield collected
    finally:
        for handle in handles:
            handle.remove()
    collected.extend(by_layer[layer] for layer in layers)
