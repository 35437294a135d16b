"""The twin of DIML's samples: train and test, two resolutions, and outdoor frames without scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.twins.scenes import SOLIDS, filled, shoot
from sfda_kit.datasets.twins.writing import Progress, mark

SCENES = (
    "01. Warehouse",
    "02. Cafe",
    "03. Classroom",
    "04. Church",
    "05. Computer Room",
    "06. Meeting Room",
    "07. Library",
    "08. Laboratory",
    "09. Bookstore",
    "10. Corridor",
    "11. Bedroom",
    "12. Livingroom",
    "13. Kitchen",
    "14. Bathroom",
    "15. Restaurant",
    "16. Billiard Hall",
    "17. Store",
    "18. Hospital",
)
SCALES = {"LR": 1, "HR": 2}
"""The real pictures are 512 x 288 and 1344 x 756."""
_OUTDOOR_FRAMES = 2


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/{indoor,outdoor}``; return the number of indoor pairs (18 scenes). Every fourth is a test pair."""
    total = len(SCENES) * per_class
    for number in range(total):
        kind, frame = number % len(SCENES), number // len(SCENES)
        part = "test" if frame % 4 == 3 else "train"
        name = f"in_{kind:02d}_1601{frame // 8 + 10:02d}_{_time(frame)}"
        seen = shot(SOLIDS[kind], [seed, 22, number])
        for resolution, scale in SCALES.items():
            folder = root / "indoor" / part / resolution / SCENES[kind]
            save(folder / "color" / f"{name}_c.png", larger(seen["rgb"], scale))
            save(folder / "depth_filled" / f"{name}_depth_filled.png", larger(seen["depth"], scale))
        progress(number + 1, total)
    for number in range(_OUTDOOR_FRAMES):
        for part in ("train", "test"):
            _write_outdoor(root / "outdoor" / part, f"out_{number:04d}.png", [seed, 23, number, part == "test"])
    mark(root, "DIML/CVL RGB-D")
    return total


def shot(solid: str, key: list[int]) -> dict[str, NDArray[Any]]:
    """Return colour and filled depth, cut to the wide pictures of the set."""
    seen = shoot(solid, "kv2", key, ("rgb", "depth"))
    return {"rgb": seen["rgb"][12:84], "depth": filled(seen["depth"])[12:84]}


def save(path: Path, pixels: NDArray[Any]) -> None:
    """Write a PNG of 8 bits, or of 16 where ``pixels`` are uint16."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def larger(pixels: NDArray[Any], scale: int) -> NDArray[Any]:
    """Repeat each pixel ``scale`` times in both directions."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _time(frame: int) -> str:
    """Return the time of a frame as HHMMSS: two frames, eight seconds apart, in every five minutes."""
    seconds = 9 * 3600 + frame // 2 * 300 + frame % 2 * 8
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def _write_outdoor(folder: Path, name: str, key: list[int]) -> None:
    seen = shot("cube", [int(value) for value in key])
    for resolution, scale in SCALES.items():
        confidence = np.where(seen["depth"] > 0, 255, 0).astype(np.uint8)
        for half, pixels in (("outleft", seen["rgb"]), ("depthmap", seen["depth"]), ("confidencemap", confidence)):
            save(folder / resolution / half / name, larger(pixels, scale))
