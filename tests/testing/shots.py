"""A data set as a stranger writes one: folders of classes with RGB and depth, read through ``ImageFiles``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfda_kit import DataError, Dataset, DatasetConfig, ImageFiles, Index, Split, UserError

CLASSES = ("cup", "jug", "pan")


class Shots(Dataset):
    summary, modalities = "cups, jugs and pans by one camera", ("rgb", "depth")

    def __init__(self, config: DatasetConfig) -> None:
        super().__init__(config)
        if config.options:
            raise UserError(f"shots has no options, got {', '.join(config.options)}. Leave them out.")
        self.root = config.root or Path()
        if not self.root.is_dir():
            raise DataError(f"--data-root {self.root} is no folder. Name the folder of shots.")
        self.stems = sorted(path.stem for path in (self.root / "rgb").iterdir())

    def index(self) -> Index:
        return Index(
            names=self.stems,
            domain=np.zeros(len(self.stems), np.int16),
            label=np.array([CLASSES.index(stem.rstrip("0123456789")) for stem in self.stems], np.int16),
            group=np.arange(len(self.stems), dtype=np.int32),
            part=np.full(len(self.stems), -1, np.int8),
            domains=("cam",),
            classes=CLASSES,
        )

    def splits(self) -> Mapping[str, Split]:
        return {"default": Split(("cup", "jug"), ("pan",))}

    def image_files(self, rows: NDArray[np.int64], modality: str) -> ImageFiles | None:
        return ImageFiles(self.root, [f"{modality}/{self.stems[row]}.png" for row in rows], modality)

    def read(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[np.generic]:
        files = self.image_files(rows, modality)
        assert files is not None
        return files.load(size)

    def fingerprint(self) -> str:
        files = sorted(path for path in self.root.rglob("*.png"))
        told = "".join(f"{path.relative_to(self.root)} {path.stat().st_size}\n" for path in files)
        return hashlib.sha256(told.encode()).hexdigest()

    def bad_rows(self, modalities: tuple[str, ...]) -> Mapping[int, str]:
        rows = np.arange(len(self.stems))
        files = [self.image_files(rows, modality) for modality in modalities]
        return {row: why for one in files if one is not None for row, why in one.bad().items()}


def write_shots(folder: Path, each: int = 2) -> Path:
    """Write ``each`` pairs of every class and return the root."""
    rng = np.random.default_rng(0)
    for modality in Shots.modalities:
        (folder / modality).mkdir(parents=True)
    for stem in (f"{name}{number}" for name in CLASSES for number in range(each)):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / "rgb" / f"{stem}.png")
        Image.fromarray(rng.integers(500, 3000, (20, 24), dtype=np.uint16)).save(folder / "depth" / f"{stem}.png")
    return folder
