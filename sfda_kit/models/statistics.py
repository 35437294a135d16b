"""Batch statistics at the input of each BatchNorm layer, measured during one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sfda_kit import processes
from sfda_kit.errors import UserError
from sfda_kit.models.network import Network
from sfda_kit.models.split_batch_norm import pooled
from sfda_kit.models.split_pass import gathered, handles_parts, in_part


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
    by_layer: dict[nn.Module, _Moments] = {}

    @handles_parts
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        count = inputs[0].numel() // inputs[0].shape[1]
        mean, variance = _BatchMoments.apply(inputs[0])
        by_layer[module] = _Moments(mean, variance, count, in_part())

    layers, first = batch_norm_layers(network), _first_layers(network)
    handles = [layer.register_forward_pre_hook(hook) for layer in layers]
    try:
        yield collected
    finally:
        for handle in handles:
            handle.remove()
    whole = _of_whole_batch([by_layer[layer] for layer in layers])
    collected.extend(BatchNormStatistics(*pair, layer in first) for layer, pair in zip(layers, whole, strict=True))


class _Moments(NamedTuple):
    """The moments of the ``values`` of a channel in one pass, of this process's rows alone where ``is_part``."""

    mean: Tensor
    variance: Tensor
    values: int
    is_part: bool


def _of_whole_batch(layers: list[_Moments]) -> list[tuple[Tensor, Tensor]]:
    """Return mean and variance over the rows of all processes, which exchange those of all layers at once."""
    if not any(layer.is_part for layer in layers):
        return [(layer.mean, layer.variance) for layer in layers]
    own = torch.cat([torch.cat([one.mean, one.variance, one.mean.new_tensor([one.values])]) for one in layers])
    table = gathered(own[None], processes.count())
    parts = torch.split(table, [2 * len(layer.mean) + 1 for layer in layers], dim=1)
    return [pooled(part[:, :-1], part[:, -1:])[:2] for part in parts]
