"""The hash of weights, of a network in memory or of a safetensors file. Both are the same for the same weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 over names, shapes, dtypes and bytes of the state dict of ``module``."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def stored_weights_hash(path: Path) -> str:
    """Return what ``weights_hash`` returns of the module that the file at ``path`` was written of, without torch.

    Raises ``SafetensorError`` where the file is not safetensors, ``OSError`` where it cannot be read, and ``TypeError``
    where numpy has no such numbers (bfloat16).
    """
    from safetensors import safe_open

    total = hashlib.sha256()
    with safe_open(path, framework="numpy") as stored:
        for name in sorted(stored.keys()):
            array = stored.get_tensor(name)
            total.update(f"{name}{array.shape}torch.{array.dtype}".encode())
            total.update(array.tobytes())
    return total.hexdigest()
