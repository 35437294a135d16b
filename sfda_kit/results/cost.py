"""What a run cost, beside what it scored."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import AdaptationContext


def peak_memory_mb(device: torch.device) -> float:
    """Peak resident memory of this process in MiB; on CUDA the peak of the device's allocator instead."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows has no such count
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def parameters(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def changed_parameters(before: nn.Module, after: nn.Module) -> int:
    """Number of parameters in tensors that training has changed: what was trained, whoever did it."""
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return sum(new.numel() for old, new in pairs if not torch.equal(old, new))


def trained_parameters(context: AdaptationContext) -> int:
    """Number of parameters that a run has trained: those of the network that changed, and its bridges'."""
    bridges = {id(b): b for b in (context.input_bridge, context.teacher_bridge) if b is not None}
    in_bridges = sum(parameters(bridge) for bridge in bridges.values() if bridge.trained)
    return changed_parameters(context.source_network, context.network) + in_bridges
