"""Reading of one image file: pixels of a modality, or a ``DataError`` that says what to do."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.stored import Stored, source_of
from sfda_kit.data.stored_values import pixels_of
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import modality as modality_of

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".npy", ".webp", ".bmp", ".pgm", ".ppm")
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM")
"""The same as Pillow calls them; ``PPM`` is PGM too."""
UNREAD_SUFFIXES = (".exr", ".npz", ".mat", ".pfm", ".hdr", ".gif", ".jp2", ".heic", ".avif", ".dng", ".raw", ".bin")
"""Images in formats that are not read. They are told apart from images that are not there."""
MAXIMUM_PIXELS = 89_000_000
"""Larger images are refused before they are unpacked, because a file of a few kilobytes can claim gigapixels."""

_BITS = 258
"""The TIFF tag for the number of bits of each channel."""

Pixels = NDArray[np.generic]


def is_image_name(name: str) -> bool:
    """Return whether ``name`` is that of an image file. Hidden files (such as ``._x.jpg``) are not read."""
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def read_image(path: Stored, modality: str, unit: str = "") -> Pixels:
    """Decode a JPEG, PNG (8, 16 bit), TIFF (8, 16 bit, float32), NPY, WebP, BMP or PGM file.

    Returns the pixels of the modality in its own dtype and unit, as ``Modality`` describes: ``rgb`` uint8 (H, W, 3);
    ``depth`` uint16 (H, W), millimetres, 0 = missing; others (H, W), the first channel, as uint8 or uint16 fractions of
    full scale, or float32 in their unit. ``unit``: what the file holds (``A,B``: that of each sensor); "" is the
    default. Rotation tags are ignored: they may turn one half of a pair only. Raises ``DataError`` (missing, empty,
    truncated, oversized or pickled file; wrong dtype, channels or values).
    """
    kind = modality_of(modality)
    try:
        _refuse_unreadable(path)
        stored = _load_npy(path) if path.suffix.lower() == ".npy" else _load_picture(path)
        return pixels_of(stored, kind, unit)
    except DataError as error:
        raise DataError(f"{path} ({modality}) {error}") from None


def missing_half(held: Path, expected: Path) -> str:
    """Return a sentence for an image whose other half ``expected`` (a path without a suffix) is in no format read."""
    suffixes = ", ".join(IMAGE_SUFFIXES)
    others = (expected.with_name(expected.name + suffix) for suffix in UNREAD_SUFFIXES)
    if found := next((other for other in others if other.exists()), None):
        return f"{found} has a format that is not read. Convert it to one of {suffixes}"
    return f"{held} has no other half: expected {expected} with one of {suffixes}"


def _refuse_unreadable(path: Stored) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror}). Put the file there.") from None
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"has a format that is not read. Known: {', '.join(IMAGE_SUFFIXES)}.")
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
        with source_of(path) as source, Image.open(source, formats=FORMATS) as image:
            _refuse_size(*image.size)
            if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "RGBX") and max(image.tag_v2[_BITS]) > 8:
                return _load_deep_tiff(path)
            largest = _largest_grey(image)
            image.load()
            pixels: Pixels = np.asarray(_plain_mode(image))
            return pixels if largest is None else _unscaled(pixels, largest)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"is not a {', '.join(FORMATS)} inside. Save it as one of these.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"claims too many pixels ({_first_line(error)}). Scale it down.") from None
    except Exception as error:
        if "imagecodecs" in str(error):
            raise DataError("is compressed in a way that needs `pip install imagecodecs`; or save it plain.") from None
        # Decoders raise many kinds of errors on broken bytes: OSError, SyntaxError, struct.error ...
        raise DataError(f"is truncated or damaged ({_first_line(error)}). Copy it again from where it came.") from None


def _largest_grey(image: Image) -> int | None:
    """Return the largest grey value that a PGM states, where Pillow scales the values to 65535 for it; else None."""
    tile: Any = getattr(image, "tile", None)
    if image.format != "PPM" or image.mode != "I" or not isinstance(details := tile[0][3], tuple):
        return None
    return int(details[1])


def _unscaled(pixels: NDArray[Any], largest: int) -> NDArray[np.uint16]:
    """Return the values of a PGM as it stores them: millimetres or centikelvin must not be scaled."""
    return np.rint(pixels * (largest / 65535)).astype(np.uint16)


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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
