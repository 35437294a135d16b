"""A set of eight outlines with random textures before random textures, for `source_training.py`.

    python benchmarks/studies/textured_shapes.py DIR

It has the layout `paired-folder` (camera `cam`, `rgb` and `depth`). Only the outline tells the class: colour, texture,
light, place, size and turn are random. Four images each share their two textures and are one group.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RELEVANT = ("disc", "square", "triangle", "ring", "cross", "bar", "star", "crescent")
IRRELEVANT = ("none", "dots")
SIDE, PER_GROUP = 80, 4
IMAGES = {**dict.fromkeys(RELEVANT, 220), **dict.fromkeys(IRRELEVANT, 30)}
Array = NDArray[Any]
ROWS, COLUMNS = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) * 2 - 1


def outline(name: str, rng: np.random.Generator) -> Array:
    """The pixels (SIDE, SIDE) of a shape, at a random place, size and turn."""
    turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.75)
    across, down = COLUMNS - rng.uniform(-0.25, 0.25), ROWS - rng.uniform(-0.25, 0.25)
    x = (across * np.cos(turn) + down * np.sin(turn)) / size
    y = (down * np.cos(turn) - across * np.sin(turn)) / size
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    shapes = {
        "disc": radius < 0.8,
        "square": np.maximum(abs(x), abs(y)) < 0.72,
        "triangle": (y > -0.5) & (y < 0.9 - 1.75 * abs(x)),
        "ring": (radius < 0.95) & (radius > 0.5),
        "cross": (np.minimum(abs(x), abs(y)) < 0.28) & (np.maximum(abs(x), abs(y)) < 0.95),
        "bar": (abs(x) < 0.25) & (abs(y) < 1),
        "star": radius < 0.62 + 0.33 * np.cos(5 * angle),
        "crescent": (radius < 0.95) & (np.hypot(x - 0.45, y) > 0.7),
        "none": radius < 0,
        "dots": np.hypot(abs(x) - 0.5, y) < 0.3,
    }
    return np.asarray(shapes[name])


def texture(rng: np.random.Generator) -> Array:
    """A sum of six waves between two colours, (SIDE, SIDE, 3) in [0, 1]."""
    total = np.zeros((SIDE, SIDE))
    for _ in range(6):
        frequency, turn = 2 ** rng.uniform(0, 4.5), rng.uniform(0, np.pi)
        phase = frequency * np.pi * (COLUMNS * np.cos(turn) + ROWS * np.sin(turn)) + rng.uniform(0, 2 * np.pi)
        total += np.sin(phase) / frequency**0.3
    total = (total - total.min()) / np.ptp(total)
    first, second = rng.uniform(0, 1, (2, 3))
    return np.asarray(first + (second - first) * total[..., None])


def scene(name: str, front: Array, back: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """An image (SIDE, SIDE, 3) and its depth in millimetres (SIDE, SIDE). The textures lie elsewhere in each."""
    mask = outline(name, rng)
    front, back = (np.roll(one, rng.integers(0, SIDE, 2), (0, 1)) for one in (front, back))
    image = np.where(mask[..., None], front, back) * rng.uniform(0.6, 1) + rng.normal(0, 0.03, front.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), np.where(mask, 1200, 2500).astype(np.uint16)


def write(root: Path, seed: int = 7) -> None:
    """Write the set into ``root``."""
    rng, lines = np.random.default_rng(seed), ["stem,group"]
    for name, count in IMAGES.items():
        for number in range(count):
            if number % PER_GROUP == 0:
                textures = texture(rng), texture(rng)
            stem = f"{name}-{number:03d}"
            for modality, pixels in zip(("rgb", "depth"), scene(name, *textures, rng), strict=True):
                folder = root / "cam" / modality / name
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{stem}.png")
            lines.append(f"{stem},{name}-{number // PER_GROUP}")
    (root / "groups.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
