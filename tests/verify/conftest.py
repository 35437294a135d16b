"""A small clean set of pairs to break, and their verification in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfda_kit.config.models import DatasetConfig
from sfda_kit.verify.dataset import Request, verify
from sfda_kit.verify.report import Report

CLASSES = ("bar", "disc", "stripe")
EACH = 4


def scene(seed: int, *, flat: bool = False) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """RGB (24, 32, 3) and depth in millimetres (24, 32) that no other seed resembles."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    rgb = np.asarray(Image.fromarray(coarse).resize((32, 24), Image.Resampling.BICUBIC))
    depth = rng.integers(800, 4000, (6, 8)).astype(np.uint16).repeat(4, axis=0).repeat(4, axis=1)
    return (rgb // 255 if flat else rgb), depth


def write_pair(root: Path, name: str, seed: int, scene_class: str = "bar", rgb_suffix: str = ".png") -> None:
    for modality, pixels in zip(("rgb", "depth"), scene(seed), strict=True):
        folder = root / "cam" / modality / scene_class
        folder.mkdir(parents=True, exist_ok=True)
        suffix = rgb_suffix if modality == "rgb" else ".png"
        Image.fromarray(pixels).save(folder / f"{name}{suffix}")


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean") / "data"
    lines = ["stem,group"]
    for kind, name in enumerate(CLASSES):
        for number in range(EACH):
            write_pair(root, f"{name}{number}", 100 * kind + number, name)
            lines.append(f"{name}{number},room{number}")
    (root / "groups.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def own(clean: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(clean, tmp_path / "own"))


@pytest.fixture
def verified() -> Callable[..., Report]:
    """Verify a folder in this process; keywords of ``DatasetConfig`` and ``Request``."""

    def call(root: Path, name: str = "paired-folder", **changes: Any) -> Report:
        of_request = {key: changes.pop(key) for key in list(changes) if key in Request.__dataclass_fields__}
        return verify(Request(DatasetConfig(name=name, root=root, **changes), **of_request))

    return call
