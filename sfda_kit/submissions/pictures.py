"""Checks hostile pictures: each must be small, whole, and nothing but PNG."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"pHYs", b"tEXt", b"gAMA", b"sRGB", b"cHRM", b"sBIT", b"bKGD"}
MAX_SIDE, MAX_PIXELS = 6000, 12_000_000


def check_picture(data: bytes) -> None:
    """Raise ``ValueError``, or Pillow's ``OSError`` or ``SyntaxError``, unless ``data`` is one plain PNG."""
    from PIL import Image

    kinds = list(_chunks(data))
    if unknown := sorted({repr(kind) for kind in kinds if kind not in CHUNKS}):
        raise ValueError(f"it has chunks that no picture of a run has: {', '.join(unknown[:5])}")
    width, height = struct.unpack_from(">II", data, len(SIGNATURE) + 8)  # before any decoder reads it
    if kinds[0] != b"IHDR" or max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ValueError(f"it is {width} x {height} pixels, too large to be decoded")
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        if getattr(image, "n_frames", 1) != 1:
            raise ValueError("it is animated")
        image.load()


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the kinds of the chunks, which must fill the file to its last byte."""
    if not data.startswith(SIGNATURE):
        raise ValueError("it is not a PNG picture")
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ValueError("it is cut off")
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        place += 12 + length
        yield kind
    if place != len(data):
        raise ValueError("it has bytes after its end")
