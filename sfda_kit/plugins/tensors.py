"""What a part returned, in words."""

from __future__ import annotations

from typing import Any


def described(value: Any) -> str:
    """Return type and shape of an array or tensor, such as ``torch.float32 (16, 3, 32, 32)``, or what else it is."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
