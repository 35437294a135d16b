"""Fixtures of the data tests: a private cache, small twins, and the real pictures where they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from sfda_kit.datasets.twins import make_twin

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SFDA_KIT_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole twin with three frames of each class and sensor. Read only: copy it to break it."""
    out = tmp_path_factory.mktemp("twins") / "twin"
    make_twin("sun-rgbd", out, per_class=3, seed=0)
    return out


@pytest.fixture(scope="session")
def real_pictures() -> Path:
    folder = os.environ.get("SFDA_KIT_NYU_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SFDA_KIT_NYU_DIR does not name a folder with the NYU Depth V2 samples")
    return Path(folder)


@pytest.fixture
def write_image() -> Callable[[Path, NDArray[np.generic]], Path]:
    def write(path: Path, pixels: NDArray[np.generic]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, pixels)
        else:
            Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture
def depth() -> NDArray[np.uint16]:
    pixels = np.random.default_rng(1).integers(500, 8000, (24, 32), dtype=np.uint16)
    pixels[:4, :4] = 0
    return pixels
