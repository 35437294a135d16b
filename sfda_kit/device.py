"""The device, threads and precision of a run. No other module of the toolkit chooses a device."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfda_kit import processes
from sfda_kit.config.models import ComputeConfig
from sfda_kit.errors import UserError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPU_BATCH = 32
"""The most images that a CPU takes at a time without gradients. Larger batches take no less time and more memory:
ResNet-18 at 224 px takes 216 MiB for 32 images and 1,922 MiB for 256 (``benchmarks/speed/passes.py``)."""
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1
"""The option numbers of ``mallopt`` in glibc."""


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks, because mapping the large tensors again takes an eighth of the time of a step."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def choose_device(config: ComputeConfig) -> torch.device:
    """Set threads and allocator, and return the device. Raises ``UserError`` where it is not available."""
    keep_freed_memory()
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as cuBLAS asks, before it is first used
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return _own_device(found or torch.device("cpu"))
    try:
        device = torch.device(config.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The device {config.device!r} is not available: {reason}. Use --device cpu.") from None
    return _own_device(device)


def _own_device(device: torch.device) -> torch.device:
    """Return ``device``, of several processes on a computer the GPU of this one. Raises ``UserError`` where none is."""
    if processes.count() == 1 or device.type == "cpu":
        return device
    if str(device) != "cuda":
        raise UserError(
            f"Several processes cannot share the device {str(device)!r}. Use --device cuda, which gives each process a "
            "GPU of its own, or --device cpu."
        )
    own = processes.group().local_rank
    if own >= torch.cuda.device_count():
        raise UserError(
            f"Process {processes.group().rank} has no GPU of its own: this computer has {torch.cuda.device_count()}. "
            "Start as many processes as there are GPUs."
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


def free_memory(device: torch.device) -> int:
    """Return the bytes that a process can still take: of an accelerator, else of the computer, within its limits."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # of a container; "max" where it has no limit
        group = Path("/sys/fs/cgroup")
        sizes.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, min(sizes, default=0))


def return_freed_memory(device: torch.device) -> None:
    """Give memory that was freed back to the system, so that other processes can take it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def autocast(config: ComputeConfig, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Return a factory of contexts for the forward pass, which use 16 bits if the configuration asks for it."""
    if config.precision in DTYPES:
        return partial(torch.autocast, device.type, dtype=DTYPES[config.precision])
    return nullcontext


def fastest_precision(device: torch.device, network: nn.Module) -> str:
    """Return what ``--precision auto`` means on ``device``: bf16 where its processor has it and gains by it, else fp32.

    A CPU with AVX512-BF16 or AMX trains ResNets and Vision Transformers in about half the time, and networks with
    grouped convolutions (EfficientNet, MobileNet) in twice the time (``benchmarks/speed/passes.py``).
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type != "cpu" or not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "fp32"
    has_groups = any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in network.modules())
    return "fp32" if has_groups else "bf16"


def gradient_scaler(autocast: Callable[[], AbstractContextManager[Any]], device: torch.device) -> torch.amp.GradScaler:
    """Return a scaler of losses, which is at work under float16 alone: small gradients would become 0 in it."""
    with autocast():
        is_half = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=is_half)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which products (distances, covariances) keep full precision under ``--precision bf16``."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
