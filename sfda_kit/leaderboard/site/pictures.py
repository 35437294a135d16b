"""Pictures of a run folder, written again from their pixels, so that nothing else of a file reaches the site."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from pathlib import Path

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 20_000_000
MAX_SIDE = 1600
"""The longest side of a picture in pixels; larger pictures are scaled down."""
COMPRESSION = 3
"""Level of zlib that takes a third of the default's time for files a few percent larger."""
MAX_PICTURES = 12
"""The most pictures of one run that the site shows."""


def pictures_of(run_dir: Path) -> list[Path]:
    """Return the PNG files of ``run_dir/pictures`` by name, without links, because links may lead anywhere."""
    folder = run_dir / "pictures"
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = [path for path in sorted(folder.glob("*.png")) if path.is_file() and not path.is_symlink()]
    return found[:MAX_PICTURES]


def reencode(path: Path, folder: Path) -> tuple[str, int, int] | None:
    """Write the pixels of ``path`` as a PNG in ``folder``, named by a hash of its bytes; return name, width and height.
    Returns None and writes nothing where the file is no PNG, is broken, or is larger than the limits."""
    from PIL import Image

    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    return None
                transparent = "A" in opened.getbands() or "transparency" in opened.info
                few_colours = opened.mode == "P" and not transparent and max(opened.size) <= MAX_SIDE
                picture = opened.copy() if few_colours else opened.convert("RGBA" if transparent else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    picture.info.clear()
    made = BytesIO()
    picture.save(made, format="PNG", compress_level=COMPRESSION)
    name = f"{hashlib.sha256(made.getvalue()).hexdigest()[:16]}.png"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(made.getvalue())
    return name, picture.width, picture.height
