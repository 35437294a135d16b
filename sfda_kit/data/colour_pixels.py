"""Colour pictures as files hold them become 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import DataError


def rgb_pixels(stored: NDArray[Any], unit: str = "") -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3): the full scale of the dtype becomes 255, and floats must lie in 0..1.

    A grey 8-bit picture has three equal channels. Raises ``DataError`` on other dtypes, values and channels.
    """
    del unit
    if stored.ndim == 2:
        if stored.dtype != np.uint8:
            raise DataError(
                f"holds one channel of {stored.dtype}, but rgb has three of 8 bits. Is it the depth half of "
                "the pair? Swap the two."
            )
        return np.repeat(stored[..., None], 3, axis=2)
    return _eight_bit(stored)


def _eight_bit(stored: NDArray[Any]) -> NDArray[np.uint8]:
    if stored.dtype == np.uint8:
        return np.ascontiguousarray(stored, dtype=np.uint8)
    if stored.dtype.kind == "f":
        return _eight_bit_of_floats(stored.astype(np.float32))
    if stored.dtype.kind not in "iu":
        raise DataError(f"holds {stored.dtype} values; expected 8-bit, 16-bit or float pixels.")
    values = stored.astype(np.int64)
    low, high = int(np.min(values)), int(np.max(values))
    if low < 0 or high > 65535:
        raise DataError(f"holds values {low}..{high}; expected 16-bit pixels (0..65535).")
    scaled: NDArray[np.uint8] = ((values + 128) // 257).astype(np.uint8)
    return scaled


def _eight_bit_of_floats(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    finite = np.where(np.isfinite(values), values, np.float32(0))
    if finite.min() < 0 or finite.max() > 1:
        raise DataError(
            f"holds floats {finite.min():.3g}..{finite.max():.3g}; expected 0..1. Divide by the sensor's full scale."
        )
    scaled: NDArray[np.uint8] = np.rint(finite * 255).astype(np.uint8)
    return scaled
