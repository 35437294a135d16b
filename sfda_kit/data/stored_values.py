"""What files hold becomes pixels of a modality: brightness as integers, measured values as float32 in its unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sfda_kit.errors import DataError
from sfda_kit.interfaces.modality import FRACTION, Container, FullScale, Modality, Unit

Pixels = NDArray[Any]


def pixels_of(stored: Pixels, kind: Modality, told: str) -> Pixels:
    """Return the pixels of what a file holds, (H, W) or (H, W, 3); ``told`` names units, see ``Modality.chosen_unit``.

    One channel is the first one of the file. Nothing is cut to 8 bits. Raises ``DataError`` where dtype, channels or
    values cannot be of the unit; the message starts with what was found.
    """
    if kind.decode is not None:
        return kind.decode(stored, kind.chosen_unit(told))
    if kind.channels == 1:
        stored = stored if stored.ndim == 2 else stored[..., 0]
    elif stored.ndim != 3:
        raise DataError(f"holds one channel, but {kind.name} has three.")
    check_container(stored.dtype, kind, told)
    meaning = kind.units[kind.chosen_unit(told)]
    return _fractions(stored, kind, meaning) if isinstance(meaning, FullScale) else _values(stored, kind, meaning, told)


def check_container(dtype: DTypeLike, kind: Modality, told: str) -> None:
    """Raise ``DataError`` unless files of the unit may have values of ``dtype``."""
    name = kind.chosen_unit(told)
    found, allowed = _container(np.dtype(dtype)), kind.units[name].containers
    if found in allowed:
        return
    others = [other for other, meaning in kind.units.items() if found in meaning.containers]
    remedy = f"State what it holds: --unit {' or '.join(others)}." if others else "Export the sensor's own values."
    raise DataError(
        f"holds {np.dtype(dtype)} values, but {kind.name} in the unit {name!r} is {' or '.join(allowed)}. {remedy}"
    )


def _container(dtype: np.dtype[Any]) -> Container:
    if dtype.kind not in "iuf":
        raise DataError(f"holds {dtype} values; expected 8-bit, 16-bit or float pixels.")
    if dtype.kind == "f":
        return "float"
    return "8-bit" if dtype == np.uint8 else "16-bit"


def _fractions(stored: Pixels, kind: Modality, meaning: FullScale) -> Pixels:
    if stored.dtype.kind == "f":
        return _float_fractions(stored.astype(np.float32), kind)
    if stored.dtype == np.uint8:
        return np.ascontiguousarray(stored)
    top = 2 ** (meaning.bits or 16) - 1
    values = stored.astype(np.int64)
    low, high = int(np.min(values)), int(np.max(values))
    if low < 0 or high > top:
        remedy = "State another unit with --unit." if meaning.bits else "Export 16-bit pixels."
        raise DataError(f"holds values {low}..{high}; expected {meaning.bits or 16}-bit pixels (0..{top}). {remedy}")
    return (np.rint(values * (65535 / top)) if meaning.bits else values).astype(np.uint16)


def _float_fractions(values: NDArray[np.float32], kind: Modality) -> Pixels:
    finite = np.where(np.isfinite(values), values, np.float32(0))
    if finite.min() < 0 or finite.max() > 1:
        units = [name for name, one in kind.units.items() if isinstance(one, Unit) and "float" in one.containers]
        state = f", or state the unit: --unit {' or '.join(units)}" if units else ""
        raise DataError(
            f"holds floats {finite.min():.3g}..{finite.max():.3g}; expected 0..1. Divide by the sensor's full "
            f"scale{state}."
        )
    # Where floats in memory are in a unit such as degrees, brightness is kept as integers.
    return finite if kind.unit == FRACTION else np.rint(finite * 65535).astype(np.uint16)


def _values(stored: Pixels, kind: Modality, meaning: Unit, told: str) -> NDArray[np.float32]:
    name = kind.chosen_unit(told)
    values = stored.astype(np.float64) * meaning.factor + meaning.offset
    finite = np.isfinite(values)
    if not finite.any():
        raise DataError("holds no finite value. The sensor saw nothing; remove the sample.")
    (low, high), middle = kind.valid, float(np.median(values[finite]))
    if not low <= middle <= high:
        others = [other for other in kind.units if other != name]
        state = f"State another unit: --unit {' or '.join(others)}." if others else "Export it anew."
        raise DataError(
            f"has a median of {middle:.4g} {kind.unit} when read as {name}, but {kind.name} lies in {low:g}..{high:g}. "
            f"{state}"
        )
    return np.where(finite, values, low).clip(low, high).astype(np.float32)


def widest(images: Iterable[Pixels], *known: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that holds the pixels of all ``images``: uint8, uint16 or float32."""
    found = (*known, *(one.dtype for one in images))
    return max(found, key=lambda dtype: (dtype.kind == "f", dtype.itemsize))


def stacked(images: Sequence[Pixels]) -> Pixels:
    """Return images of one size as one array (N, ...) of their widest dtype."""
    dtype = widest(images)
    return np.stack([as_dtype(one, dtype) for one in images])


def as_dtype(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return fractions of full scale in a wider ``dtype``; pixels that have it stay as they are."""
    if pixels.dtype == dtype:
        return pixels
    share = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    return (share if dtype.kind == "f" else np.rint(share * np.iinfo(dtype).max)).astype(dtype)
