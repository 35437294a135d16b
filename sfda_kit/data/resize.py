"""Resizing of images of any size to squares of one size. Averages leave out missing depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import UserError

_LEAST_VALID = 0.5 - 1e-4
"""A resized pixel is missing if less than this share of its window is measured (the filter rounds a little)."""


def resize(image: NDArray[Any], size: int, *, missing_zero: bool = False, box: bool = False) -> NDArray[Any]:
    """Resize an image, uint8 (H, W, 3) or (H, W), uint16 or float32 (H, W), to (size, size) with the same dtype.

    The filter is antialiased bilinear; with ``box`` each pixel is the plain mean of the pixels under it. With
    ``missing_zero`` an output pixel is the mean of the non-zero pixels under it, and 0 where less than half of them are
    non-zero, so a hole does not change the values around it. Raises ``UserError`` for a size below 1.
    """
    if size < 1:
        raise UserError(f"An image size of {size} is not possible; give at least 1.")
    if image.shape[:2] == (size, size):
        return image
    if missing_zero:
        return _resize_measured(image, size, box)
    if image.dtype == np.uint8:
        return _filtered(image, size, box)
    return _stored(_filtered(image.astype(np.float32), size, box), image.dtype)


def resize_batch(images: NDArray[Any], size: int, *, missing_zero: bool = False) -> NDArray[Any]:
    """Apply ``resize`` to each image of (N, H, W, 3) or (N, H, W). Returns (N, size, size, ...)."""
    out = np.empty((len(images), size, size, *images.shape[3:]), images.dtype)
    for row, image in enumerate(images):
        out[row] = resize(image, size, missing_zero=missing_zero)
    return out


def _filtered(image: NDArray[Any], size: int, box: bool) -> NDArray[Any]:
    from PIL import Image

    # Pillow widens the triangle filter when it shrinks an image, so this is antialiased like antialias=True of torch.
    method = Image.Resampling.BOX if box else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((size, size), method))


def _resize_measured(image: NDArray[Any], size: int, box: bool) -> NDArray[Any]:
    measured = (image > 0).astype(np.float32)
    share = _filtered(measured, size, box).astype(np.float64)
    total = _filtered(image.astype(np.float32), size, box).astype(np.float64)
    mean = total / np.maximum(share, _LEAST_VALID)
    if image.dtype.kind != "f":
        mean = np.maximum(np.rint(mean), 1)
    return _stored(np.where(share >= _LEAST_VALID, mean, 0), image.dtype)


def _stored(values: NDArray[np.floating[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return ``values`` in ``dtype``; integers are rounded."""
    if dtype.kind == "f":
        return np.asarray(values.astype(dtype))
    return np.asarray(np.rint(values).clip(0, np.iinfo(dtype).max).astype(dtype))
