"""A twin in the layout of Office-31: three domains of 18 of its classes, each seen by another sensor."""

from __future__ import annotations

from pathlib import Path

from sfda_kit.datasets.named_splits import shipped_splits
from sfda_kit.datasets.twins.scenes import SOLIDS, shoot
from sfda_kit.datasets.twins.writing import Progress, mark

DOMAINS = {"amazon": "kv2", "dslr": "xtion", "webcam": "kv1"}
"""Domain -> sensor of ``rooms``."""


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/<domain>/images/<class>/frame_NNNN.jpg``; return the number of images (3 domains, 18 classes)."""
    from PIL import Image

    names = shipped_splits("domain-folder")["office-31"].resolve((), {}).tr_classes[: len(SOLIDS)]
    total, done = len(DOMAINS) * len(names) * per_class, 0
    for place, (domain, sensor) in enumerate(DOMAINS.items()):
        for solid, name in zip(SOLIDS, names, strict=True):
            folder = root / domain / "images" / name
            folder.mkdir(parents=True)
            for number in range(1, per_class + 1):
                seen = shoot(solid, sensor, [seed, 25 + place, SOLIDS.index(solid), number], ("rgb",))
                Image.fromarray(seen["rgb"]).save(folder / f"frame_{number:04d}.jpg", quality=95)
                done += 1
                progress(done, total)
    mark(root, "Office-31")
    return total
