"""A twin in tar shards: unpaired source and target images with roles and groups, and pairs of other classes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sfda_kit.datasets.twins.list_file import HALVES, RELEVANT, role_of
from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.datasets.twins.writing import Progress, mark
from sfda_kit.shards.labels import Labels
from sfda_kit.shards.writer import ShardWriter

DOMAIN = "cam"
SHARD = 1_000_000
"""Bytes of one shard, so few that a twin has several shards."""
SUFFIX = {"rgb": "jpg", "depth": "png"}


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/shard-NNNNNN.tar``; return the number of scenes (12 classes TR, 6 TI)."""
    total = len(SOLIDS) * per_class
    with ShardWriter(root, SHARD) as shards:
        for number in range(total):
            kind, count = number % len(SOLIDS), number // len(SOLIDS)
            role = role_of(count, per_class) if kind < RELEVANT else "ti"
            seen = shoot(SOLIDS[kind], "kv2", [seed, 33, number], ("rgb", "depth"))
            images = {f"{name}.{SUFFIX[name]}": _encoded(seen[name], SUFFIX[name]) for name in HALVES[role]}
            shards.write(f"{number:06d}", Labels(SOLIDS[kind], DOMAIN, f"room {number}", role), images)
            progress(number + 1, total)
    mark(root, "tar shards (WebDataset)")
    return total


def _encoded(pixels: NDArray[Any], suffix: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG" if suffix == "jpg" else "PNG", quality=95)
    return file.getvalue()
