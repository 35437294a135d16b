"""The cost of a run: its memory, its processor time and the number of trained parameters."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sfda_kit.interfaces.method import AdaptationContext


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory in MiB: of the device's allocator on CUDA, else of this process (NaN on Windows)."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(OSError, StopIteration):  # Linux counts in ``ru_maxrss`` what the process that started this one had
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    try:
        import resource
    except ImportError:  # Windows does not count this.
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def cpu_seconds() -> float:
    """Return the processor time of this process, all its threads, and its children that have ended."""
    return sum(os.times()[:4])


def parameters(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def changed_parameters(before: nn.Module, after: nn.Module) -> int:
    """Return the number of parameters in tensors that differ, which were trained by whatever means."""
    import torch

    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return sum(new.numel() for old, new in pairs if not torch.equal(old, new))


def trained_parameters(context: AdaptationContext) -> int:
    """Return the number of parameters that a run has trained: the changed ones of the network, and its bridges'."""
    bridges = {id(b): b for b in (context.input_bridge, context.teacher_bridge) if b is not None}
    in_bridges = sum(parameters(bridge) for bridge in bridges.values() if bridge.trained)
    return changed_parameters(context.source_network, context.network) + in_bridges
