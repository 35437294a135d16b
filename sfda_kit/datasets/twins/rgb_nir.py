"""The twin of RGB-NIR Scene: sizes vary, and near infrared has one or three channels of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.rgb_nir import CATEGORIES
from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.datasets.twins.writing import Progress, mark


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/nirscene1/<category>/NNNN_{rgb,nir}.tiff``; return the number of pairs (9 categories)."""
    import tifffile

    total = len(CATEGORIES) * per_class
    for number in range(total):
        kind, count = number % len(CATEGORIES), number // len(CATEGORIES) + 1
        folder = root / "nirscene1" / CATEGORIES[kind]
        folder.mkdir(parents=True, exist_ok=True)
        seen = shoot(SOLIDS[kind], "kv2", [seed, 21, number], ("rgb", "nir"))
        cut = 4 * (number % 5)
        rgb, nir = seen["rgb"][:, cut:], _stored(seen["nir"][:, cut:], number)
        tifffile.imwrite(folder / f"{count:04d}_rgb.tiff", rgb, photometric="rgb")
        kind_of_picture = "rgb" if nir.ndim == 3 else "minisblack"
        tifffile.imwrite(folder / f"{count:04d}_nir.tiff", nir, photometric=kind_of_picture)
        progress(number + 1, total)
    mark(root / "nirscene1", "RGB-NIR Scene")
    return total


def _stored(nir: NDArray[np.uint8], number: int) -> NDArray[np.generic]:
    """Return ``nir`` in one of four forms that take turns: 8 or 16 bits, one or three channels."""
    pixels: NDArray[np.generic] = nir.astype(np.uint16) * np.uint16(257) if number % 2 else nir
    return np.repeat(pixels[..., None], 3, axis=2) if number // 2 % 2 else pixels
