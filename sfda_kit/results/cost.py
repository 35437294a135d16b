"""What a run cost, beside what it scored."""

from __future__ import annotations

import sys

import torch
from torch import nn


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
