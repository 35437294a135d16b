"""The twin of DIML's full release: folders of scenes, dates and batches."""

from __future__ import annotations

from pathlib import Path

from sfda_kit.datasets.twins.diml import SCENES, save, shot
from sfda_kit.datasets.twins.scenes import SOLIDS
from sfda_kit.datasets.twins.writing import Progress, mark

BATCH = 5
"""Frames in one batch, which is one group."""


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/indoor/<scene>/<date>/<batch>/{col,up_png}``; return the number of pairs (18 scenes)."""
    total = len(SCENES) * per_class
    for number in range(total):
        kind, frame = number % len(SCENES), number // len(SCENES)
        batch = frame // BATCH
        folder = root / "indoor" / SCENES[kind] / f"16.01.{19 + batch // 2}" / str(batch % 2 + 1)
        seen = shot(SOLIDS[kind], [seed, 24, number])
        save(folder / "col" / f"{frame % BATCH + 1}_c.png", seen["rgb"])
        save(folder / "up_png" / f"{frame % BATCH + 1}_ud.png", seen["depth"])
        progress(number + 1, total)
    mark(root, "DIML/CVL RGB-D")
    return total
