"""The header of a file, read without decoding the file: format, size, channels, bits, frames, rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sfda_kit.data.images import FORMATS, MAXIMUM_PIXELS
from sfda_kit.data.stored import Stored, source_of

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "NPY": (".npy",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "PPM": (".pgm", ".ppm"),
}
_BITS, _ORIENTATION = 258, 274
"""TIFF and EXIF tags."""
_DTYPES = {"I;16": np.uint16, "I;16B": np.uint16, "I;16L": np.uint16, "I;16N": np.uint16, "I": np.int32}


@dataclass(frozen=True)
class Header:
    """``mode`` is Pillow's; ``orientation`` 1 is upright (EXIF); ``dtype`` is that of one stored channel."""

    format: str
    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    mode: str = ""
    orientation: int = 1
    frames: int = 1
    transparent: bool = False

    @property
    def sideways(self) -> bool:
        """Whether the rotation tag exchanges width and height."""
        return self.orientation >= 5


class TooLargeError(Exception):
    """A header claims more pixels than are read."""


def read_header(path: Stored) -> Header:
    """Return the header. Raises ``TooLargeError``, or any error that a decoder raises on broken bytes."""
    header = _of_npy(path) if path.suffix.lower() == ".npy" else _of_picture(path)
    if header.width * header.height > MAXIMUM_PIXELS:
        raise TooLargeError(f"claims {header.width} x {header.height} pixels; the limit is {MAXIMUM_PIXELS}")
    return header


def _of_npy(path: Stored) -> Header:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if len(shape) not in (2, 3):
        raise ValueError(f"shape {shape}")
    return Header("NPY", shape[1], shape[0], shape[2] if len(shape) == 3 else 1, dtype)


def _of_picture(path: Stored) -> Header:
    from PIL import Image

    try:
        with source_of(path) as source, Image.open(source, formats=FORMATS) as image:
            return _described(image)
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"claims too many pixels ({error})") from None


def _described(image: Image) -> Header:
    width, height = image.size
    bands = len(image.getbands())
    transparent = image.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in image.info
    return Header(
        "JPEG" if image.format == "MPO" else str(image.format),
        width,
        height,
        bands if not transparent or bands < 2 else bands - 1,
        _dtype(image),
        image.mode,
        _orientation(image),
        _frames(image),
        transparent,
    )


def _dtype(image: Image) -> np.dtype[Any]:
    if image.mode == "F":
        return np.dtype(np.float32)
    deep = image.format == "TIFF" and max(_tags(image).get(_BITS, (8,))) > 8 and not image.mode.startswith("I")
    return np.dtype(np.uint16 if deep else _DTYPES.get(image.mode, np.uint8))


def _orientation(image: Image) -> int:
    """Return 1 to 8. In a PNG only a tag before the pixels counts: to find a later one would decode the file."""
    if image.format == "TIFF":
        value = _tags(image).get(_ORIENTATION, 1)
    elif "exif" in image.info:
        try:
            value = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # a broken tag is no tag: the pixels may be fine
            return 1
    else:
        return 1
    return value if value in range(1, 9) else 1


def _frames(image: Image) -> int:
    """Return 1 or more. In a TIFF no more than two frames are counted."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    try:
        image.seek(1)
    except EOFError:
        return 1
    return 2


def _tags(image: Image) -> Any:
    return getattr(image, "tag_v2", {})
