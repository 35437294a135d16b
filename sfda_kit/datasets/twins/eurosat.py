"""The twin of EuroSAT's multispectral release: one TIFF per patch, with 13 bands of uint16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.eurosat import BANDS, CLASSES
from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.datasets.twins.writing import Progress, mark

SIDE = 64
_VISIBLE = {"B04": 0, "B03": 1, "B02": 2}


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/EuroSAT_MS/<Class>/<Class>_<n>.tif``; return the number of patches (10 classes)."""
    import tifffile

    total = len(CLASSES) * per_class
    for number in range(total):
        kind, count = number % len(CLASSES), number // len(CLASSES) + 1
        folder = root / "EuroSAT_MS" / CLASSES[kind]
        folder.mkdir(parents=True, exist_ok=True)
        patch = _patch(SOLIDS[kind], [seed, 20, number])
        tifffile.imwrite(
            folder / f"{CLASSES[kind]}_{count}.tif", patch, photometric="minisblack", planarconfig="contig"
        )
        progress(number + 1, total)
    mark(root / "EuroSAT_MS", "EuroSAT")
    return total


def _patch(solid: str, key: list[int]) -> NDArray[np.uint16]:
    """Return (64, 64, 13) of reflectance times 10,000; bands that no task reads are mixtures of the others."""
    seen = shoot(solid, "kv2", key, ("rgb", "nir"))
    visible = _square(seen["rgb"]).astype(np.float32) * (2750 / 255)
    infrared = _square(seen["nir"]).astype(np.float32) * (5000 / 255)
    grey = visible.mean(axis=-1)
    layers = []
    for number, band in enumerate(BANDS):
        share = number / len(BANDS)
        mixed = infrared if band == "B08" else infrared * (1 - share / 2) + grey * share / 2
        layers.append(visible[..., _VISIBLE[band]] if band in _VISIBLE else mixed)
    patch: NDArray[np.uint16] = np.rint(np.stack(layers, axis=-1)).astype(np.uint16)
    return patch


def _square(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    top, left = (picture.shape[0] - SIDE) // 2, (picture.shape[1] - SIDE) // 2
    return picture[top : top + SIDE, left : left + SIDE]
