"""Small pairs of a colour image and a depth image, in folders of ``paired-folder``, each different from all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE, CLASSES, ROOM = 32, 6, 20


def write_images(root: Path, count: int) -> None:
    """Write ``count`` pairs of 32 px: each class has a colour and a distance, with noise. 20 pairs make a room."""
    for kind in range(CLASSES):
        for modality in ("rgb", "depth"):
            (root / "camera" / modality / f"class_{kind}").mkdir(parents=True)
    random = np.random.default_rng(0)
    colours = random.integers(40, 216, (CLASSES, 3))
    for number in range(count):
        kind, name = number % CLASSES, f"room{number // ROOM:06d}_{number:07d}"
        rgb = colours[kind] + random.integers(-40, 40, (SIDE, SIDE, 3))
        depth = 1000 + 500 * kind + random.integers(0, 400, (SIDE, SIDE))
        folder = root / "camera"
        Image.fromarray(rgb.astype(np.uint8)).save(folder / "rgb" / f"class_{kind}" / f"{name}.jpg", quality=90)
        Image.fromarray(depth.astype(np.uint16)).save(folder / "depth" / f"class_{kind}" / f"{name}.png")
