"""A twin of a user's table: unpaired source and target images with roles, and pairs of other classes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.datasets.twins.writing import Progress, mark

RELEVANT = 12
HALVES = {"source": ("rgb",), "target-train": ("depth",), "target-test": ("depth",), "ti": ("rgb", "depth")}
"""Role -> the modalities in which its scenes are seen."""


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/list.csv`` and ``root/images``; return the number of scenes (12 classes TR, 6 TI)."""
    total = len(SOLIDS) * per_class
    lines = [("path", "class", "domain", "modality", "pair", "role")]
    for number in range(total):
        kind, count = number % len(SOLIDS), number // len(SOLIDS)
        role = role_of(count, per_class) if kind < RELEVANT else "ti"
        seen = shoot(SOLIDS[kind], "kv2", [seed, 29, number], ("rgb", "depth"))
        for modality in HALVES[role]:
            path = f"images/{number:06d}_{modality}.png"
            _save(root / path, seen[modality])
            pair = str(number) if role == "ti" else ""
            lines.append((path, SOLIDS[kind], "cam", modality, pair, role))
        progress(number + 1, total)
    with (root / "list.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(lines)
    mark(root, "a table of images")
    return total


def role_of(count: int, per_class: int) -> str:
    """Return the role of scene ``count`` of a class: 45 % are source, 30 % target-train and 25 % target-test."""
    share = (count + 0.5) / per_class
    return "source" if share < 0.45 else "target-train" if share < 0.75 else "target-test"


def _save(path: Path, pixels: NDArray[Any]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
