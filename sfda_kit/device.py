"""The device, threads and precision of a run. No other module of the toolkit chooses a device."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch

from sfda_kit.config.models import ComputeConfig
from sfda_kit.errors import UserError

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
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        device = torch.device(config.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The device {config.device!r} is not available: {reason} Use --device cpu.") from None
    return device


def autocast(config: ComputeConfig, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Return a factory of contexts for the forward pass, which use bfloat16 if the configuration asks for it."""
    if config.precision == "bf16":
        return partial(torch.autocast, device.type, dtype=torch.bfloat16)
    return nullcontext


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which products (distances, covariances) keep full precision under ``--precision bf16``."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
