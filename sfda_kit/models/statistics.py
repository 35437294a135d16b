"""Batch statistics at the input of each BatchNorm layer, taken during one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sfda_kit.errors import UserError


class Statistics(NamedTuple):
    """Per-channel ``mean`` and biased ``variance``, both (C,)."""

    mean: Tensor
    variance: Tensor


class _BatchMoments(torch.autograd.Function):
    """Mean and biased variance over (N, H, W) with a closed-form backward pass.

    ``torch.var`` over three dimensions is several times slower than BatchNorm itself on CPUs; two
    matrix products over the channels-last layout are not. Values are shifted by the layer's running
    mean first, against cancellation where the mean is much larger than the deviation.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        flat = images.movedim(1, -1).reshape(-1, images.shape[1]) - shift
        weights = torch.full((1, len(flat)), 1.0 / len(flat), dtype=flat.dtype, device=flat.device)
        mean = (weights @ flat)[0]
        variance = ((weights @ flat.square())[0] - mean.square()).clamp_min(0.0)
        ctx.save_for_backward(images, mean + shift)
        return mean + shift, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        grad_mean, grad_variance = gradients
        images, mean = ctx.saved_tensors
        count = images.numel() // images.shape[1]
        slope = (2.0 / count * grad_variance)[:, None, None]
        offset = (grad_mean / count)[:, None, None] - slope * mean[:, None, None]
        return torch.addcmul(offset, images, slope), None


def batch_norm_layers(network: nn.Module) -> list[nn.BatchNorm2d]:
    """BatchNorm2d layers in the order of the module tree."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def require_batch_norm(network: nn.Module, wanted_by: str) -> None:
    """Raise ``UserError`` when ``network`` has no BatchNorm2d layer."""
    if not batch_norm_layers(network):
        raise UserError(
            f"{wanted_by} compares BatchNorm statistics, but this backbone has no BatchNorm2d layer. "
            f"Use a backbone with BatchNorm (for example resnet10t or resnet50) or remove the term "
            f"(--aligner {wanted_by}=0)."
        )


def stored_statistics(network: nn.Module) -> list[Statistics]:
    """Running statistics of each BatchNorm2d layer."""
    layers = batch_norm_layers(network)
    return [Statistics(m.running_mean, m.running_var) for m in layers]  # type: ignore[arg-type]


@contextmanager
def captured_statistics(network: nn.Module) -> Iterator[list[Statistics]]:
    """Collects, while open, the input statistics of each BatchNorm2d layer, with gradients."""
    collected: list[Statistics] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shift = module.running_mean
        assert isinstance(shift, Tensor)
        collected.append(Statistics(*_BatchMoments.apply(inputs[0], shift)))  # type: ignore[no-untyped-call]

    handles = [layer.register_forward_pre_hook(hook) for layer in batch_norm_layers(network)]
    try:
        yield collected
    finally:
        for handle in handles:
            handle.remove()
