"""Reading of one image file: pixels of a modality, or a ``DataError`` that says what to do."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.depth_units import DepthUnit, to_millimetres
from sfda_kit.data.stored import Stored, source_of
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy")
MAXIMUM_PIXELS = 89_000_000
"""Larger images are refused before they are unpacked, because a file of a few kilobytes can claim gigapixels."""

_BITS = 258
"""The TIFF tag for the number of bits of each channel."""

Pixels = NDArray[np.generic]


def is_image_name(name: str) -> bool:
    """Return whether ``name`` is that of an image file. Hidden files (such as ``._x.jpg``) are not read."""
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def read_image(path: Stored, modality: str, depth_unit: DepthUnit = "mm") -> Pixels:
    """Decode a JPEG, PNG (8, 16 bit), TIFF (8, 16 bit, float32) or NPY file.

    Returns ``rgb``: uint8 (H, W, 3); ``depth``: uint16 (H, W) millimetres, 0 = missing; any other modality: uint8
    (H, W), the first channel, with 16-bit values scaled to 8 bits. Rotation tags are ignored: they may turn one half of
    a pair only. Raises ``DataError`` (missing, empty, truncated, oversized or pickled file; wrong dtype or channels).
    """
    try:
        _refuse_unreadable(path)
        stored = _load_npy(path) if path.suffix.lower() == ".npy" else _load_picture(path)
        if modality == "depth":
            return _seen(to_millimetres(stored, depth_unit))
        return _rgb(stored) if modality == "rgb" else _single_channel(stored)
    except DataError as error:
        raise DataError(f"{path} ({modality}) {error}") from None


def _refuse_unreadable(path: Stored) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror}). Put the file there.") from None
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"is no image this kit reads. Known: {', '.join(IMAGE_SUFFIXES)}.")
    if not stat.S_ISREG(status.st_mode):
        raise DataError("is not a regular file. Put an image file there.")
    if status.st_size == 0:
        raise DataError("is empty (zero bytes). Copy it again from where it came.")


def _load_npy(path: Stored) -> Pixels:
    try:
        # With mapping, a header that claims more than the file holds is an error and not a large allocation.
        with source_of(path) as source:
            stored: Pixels = np.load(source, mmap_mode="r" if isinstance(source, Path) else None, allow_pickle=False)
    except Exception as error:
        raise DataError(
            f"is not a plain NPY array ({_first_line(error)}). Pickled objects are never loaded; "
            "save a numeric array with numpy.save(path, array)."
        ) from None
    if stored.ndim == 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim not in (2, 3) or (stored.ndim == 3 and stored.shape[-1] not in (3, 4)):
        raise DataError(f"has shape {stored.shape}; expected (H, W) or (H, W, 3).")
    _refuse_size(stored.shape[1], stored.shape[0])
    return stored[..., :3] if stored.ndim == 3 else stored


def _load_picture(path: Stored) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    try:
        with source_of(path) as source, Image.open(source, formats=("JPEG", "PNG", "TIFF")) as image:
            _refuse_size(*image.size)
            if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "RGBX") and max(image.tag_v2[_BITS]) > 8:
                return _load_deep_tiff(path)
            image.load()
            return np.asarray(_plain_mode(image))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError("is not a JPEG, PNG or TIFF inside. Save it as one of these.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"claims too many pixels ({_first_line(error)}). Scale it down.") from None
    except Exception as error:
        if "imagecodecs" in str(error):
            raise DataError("is compressed in a way that needs `pip install imagecodecs`; or save it plain.") from None
        # Decoders raise many kinds of errors on broken bytes: OSError, SyntaxError, struct.error ...
        raise DataError(f"is truncated or damaged ({_first_line(error)}). Copy it again from where it came.") from None


def _load_deep_tiff(path: Stored) -> Pixels:
    """Read 16-bit channels with tifffile: Pillow keeps one byte of two, the low one if channels are stored apart."""
    import tifffile

    with source_of(path) as source, tifffile.TiffFile(source) as file:
        page = file.pages.first
        stored: Pixels = page.asarray()
        apart = stored.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    return (np.moveaxis(stored, 0, -1) if apart else stored)[..., :3]


def _plain_mode(image: Image) -> Image:
    """Return ``image`` as grey, RGB, 16-bit or float. Palettes, masks, alpha and print colours are converted."""
    if image.mode.startswith("I") or image.mode in ("L", "RGB", "F"):
        return image
    return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


def _refuse_size(width: int, height: int) -> None:
    if width * height > MAXIMUM_PIXELS:
        raise DataError(f"claims {width} x {height} pixels; the limit is {MAXIMUM_PIXELS}. Scale it down.")
    if width * height == 0:
        raise DataError("has no pixels. Copy it again from where it came.")


def _rgb(stored: Pixels) -> NDArray[np.uint8]:
    if stored.ndim == 2:
        if stored.dtype != np.uint8:
            raise DataError(
                f"holds one channel of {stored.dtype}, but rgb has three of 8 bits. Is it the depth half of "
                "the pair? Swap the two."
            )
        return np.repeat(stored[..., None], 3, axis=2)
    return _eight_bit(stored)


def _single_channel(stored: Pixels) -> NDArray[np.uint8]:
    return _eight_bit(stored if stored.ndim == 2 else stored[..., 0])


def _eight_bit(stored: Pixels) -> NDArray[np.uint8]:
    """Scale to 0..255: the full scale of the dtype becomes 255, and floats must lie in 0..1."""
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


def _seen(millimetres: NDArray[np.uint16]) -> NDArray[np.uint16]:
    if not millimetres.any():
        raise DataError("is missing (zero) in every pixel. The sensor saw nothing; remove the pair.")
    return millimetres


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
