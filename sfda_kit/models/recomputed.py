"""Activation checkpointing: a backward pass computes the values inside each block of a backbone again.

A forward pass then holds the inputs of blocks alone. Source: Chen, Xu, Zhang, Guestrin, "Training Deep Nets with
Sublinear Memory Cost", 2016 (https://arxiv.org/abs/1604.06174); the repetition itself is ``torch.utils.checkpoint``.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from sfda_kit.models.network import Network


def recompute_activations(network: Network) -> None:
    """Let the blocks of each backbone be computed again in backward passes. Copies of ``network`` do so too.

    Weights and running statistics come out as without it, because a block repeats its random numbers and updates no
    statistics twice. Raises ``UserError`` where timm cannot do this for a backbone, or a backbone is not timm's.
    """
    for backbone in network.backbones():
        for block in blocks(backbone):
            if not isinstance(block, _Recomputed):
                block.__class__ = type(type(block).__name__, (_Recomputed, type(block)), {})


def blocks(backbone: nn.Module) -> list[nn.Module]:
    """Return the blocks into which timm divides ``backbone``, in order. Raises ``UserError`` where it does not."""
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]  # timm refuses by an assertion
        backbone.set_grad_checkpointing(False)  # type: ignore[operator]
        patterns = backbone.group_matcher(coarse=False)["blocks"]  # type: ignore[operator]
    except (AttributeError, AssertionError, KeyError, TypeError):
        patterns = ()
    wanted = [patterns] if isinstance(patterns, str) else [pattern for pattern, _ in patterns]
    found: dict[str, nn.Module] = {}
    for name, module in backbone.named_modules():
        is_block = any(re.fullmatch(pattern, name) for pattern in wanted) and any(module.children())
        if is_block and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    if not found:
        raise UserError(
            f"The backbone {type(backbone).__name__} has no blocks that timm can compute again: leave out "
            "--checkpoint-activations, and give --accumulate 2 or a smaller --batch-size to save memory."
        )
    return list(found.values())


class _Recomputed(nn.Module):
    """The behaviour of a block that is computed again; the new class of a block has it before its own."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        forward = super().forward
        if not torch.is_grad_enabled():
            return forward(*inputs, **named)
        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=partial(_contexts, self), **named)


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _Repeating([layer for layer in block.modules() if isinstance(layer, _BatchNorm)])


class _Repeating(AbstractContextManager[None]):
    """Lets BatchNorm layers work as they do now, hooks included, without another update of running statistics.

    A momentum of 0 leaves the statistics as they are. They are still handed to the layer, because the second pass has
    to save the same tensors as the first.
    """

    def __init__(self, layers: list[_BatchNorm]) -> None:
        self._layers = layers
        fixed = {"momentum": 0.0, "num_batches_tracked": None}
        self._then: list[dict[str, Any]] = [
            {"track_running_stats": one.track_running_stats, "_forward_pre_hooks": one._forward_pre_hooks.copy()}
            | fixed
            for one in layers
        ]

    def __enter__(self) -> None:
        self._now = [{name: getattr(one, name) for name in self._then[0]} for one in self._layers]
        self._set(self._then)

    def __exit__(self, *_: object) -> None:
        self._set(self._now)

    def _set(self, values: list[dict[str, Any]]) -> None:
        for layer, named in zip(self._layers, values, strict=True):
            for name, value in named.items():
                setattr(layer, name, value)
