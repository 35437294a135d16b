"""Conversion of depth as files hold it into uint16 millimetres with 0 = missing."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import DataError

DepthUnit = Literal["mm", "m", "sun-rgbd-bits"]
DEPTH_UNITS: tuple[DepthUnit, ...] = get_args(DepthUnit)

SUN_RGBD_FAR_MM = 8000
"""The clipping distance of the official reader of SUN RGB-D. Beyond 8 m the sensors deliver noise."""
_STORABLE_MM = 65535
_IMPLAUSIBLY_NEAR_MM = 100


def decode_sun_rgbd_bits(stored: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return millimetres for the PNG values of SUN RGB-D, which are 16 bits rotated left by three."""
    rotated: NDArray[np.uint16] = (stored >> np.uint16(3)) | (stored << np.uint16(13))
    return rotated


def encode_sun_rgbd_bits(millimetres: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Apply the inverse of ``decode_sun_rgbd_bits``."""
    rotated: NDArray[np.uint16] = (millimetres << np.uint16(3)) | (millimetres >> np.uint16(13))
    return rotated


def to_millimetres(stored: NDArray[np.generic], unit: DepthUnit) -> NDArray[np.uint16]:
    """Convert stored depth (H, W) to uint16 (H, W) millimetres, 0 = missing (also NaN, infinite, negative).

    Raises ``DataError`` where dtype, shape or values cannot be depth in ``unit``. The message starts with what was
    found, so that a caller can put the path before it.
    """
    _refuse_pictures(stored)
    if unit == "sun-rgbd-bits":
        return _from_sun_rgbd_bits(stored)
    if unit == "m":
        return _from_metres(stored)
    if stored.dtype.kind == "f":
        return _from_float_millimetres(stored)
    return _storable(stored)


def seen_millimetres(stored: NDArray[Any], unit: str) -> NDArray[np.uint16]:
    """Return what ``to_millimetres`` does for a whole image. Raises ``DataError`` where every pixel is missing."""
    millimetres = to_millimetres(stored, cast("DepthUnit", unit))
    if not millimetres.any():
        raise DataError("is missing (zero) in every pixel. The sensor saw nothing; remove the pair.")
    return millimetres


def _refuse_pictures(stored: NDArray[np.generic]) -> None:
    if stored.ndim != 2:
        raise DataError(
            f"holds {stored.shape[-1]} channels, but depth has one. Is it the RGB half of the pair, or depth "
            "coloured for viewing? Put the sensor's own depth file there."
        )
    if stored.dtype.kind not in "iuf" or stored.dtype.itemsize == 1:
        raise DataError(
            f"holds {stored.dtype} values, but depth needs 16-bit integers or floats. Eight-bit depth is a "
            "picture for viewing (or the other half of the pair); export the sensor's own depth."
        )


def _from_sun_rgbd_bits(stored: NDArray[np.generic]) -> NDArray[np.uint16]:
    if stored.dtype.kind == "f":
        raise DataError("holds floats, but unit sun-rgbd-bits means 16-bit integers. Use --unit m.")
    return decode_sun_rgbd_bits(_storable(stored)).clip(max=SUN_RGBD_FAR_MM)


def _from_metres(stored: NDArray[np.generic]) -> NDArray[np.uint16]:
    if stored.dtype.kind != "f":
        raise DataError(
            f"holds {stored.dtype} values, but unit m means float metres. For integer millimetres use --unit mm."
        )
    millimetres = _finite(stored) * 1000.0
    valid = millimetres[millimetres > 0]
    if valid.size and float(np.median(valid)) > _STORABLE_MM:
        raise DataError(
            f"holds a median of {np.median(valid) / 1000:.0f}, too far for metres. If these are millimetres, "
            "use --unit mm."
        )
    return _rounded(millimetres)


def _from_float_millimetres(stored: NDArray[np.generic]) -> NDArray[np.uint16]:
    millimetres = _finite(stored)
    farthest = float(np.max(millimetres, initial=0.0))
    if 0 < farthest < _IMPLAUSIBLY_NEAR_MM:
        raise DataError(
            f"holds float values up to {farthest:.3g}, too near for millimetres. If these are metres, use --unit m."
        )
    return _rounded(millimetres)


def _finite(stored: NDArray[np.generic]) -> NDArray[np.float64]:
    values = stored.astype(np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _rounded(millimetres: NDArray[np.float64]) -> NDArray[np.uint16]:
    rounded: NDArray[np.uint16] = np.rint(np.minimum(millimetres, _STORABLE_MM)).astype(np.uint16)
    return rounded


def _storable(stored: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Return integers as uint16. Wider dtypes are fine if their values fit. Negative values are missing."""
    if stored.dtype == np.uint16:
        return stored.astype(np.uint16)
    values = stored.astype(np.int64)
    farthest = int(np.max(values, initial=0))
    if farthest > _STORABLE_MM:
        raise DataError(
            f"holds integer depth up to {farthest}, but at most {_STORABLE_MM} mm can be used. "
            "Export depth in millimetres."
        )
    return np.maximum(values, 0).astype(np.uint16)
