"""What ``data verify`` says about units: temperatures as brightness, small parts of a container, doubtful middles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write(root: Path, modality: str, name: str, pixels: np.ndarray) -> None:
    folder = root / "cam" / modality / "cat"
    folder.mkdir(parents=True, exist_ok=True)
    if pixels.dtype.kind == "f":
        np.save(folder / f"{name}.npy", pixels)
    else:
        Image.fromarray(pixels).save(folder / f"{name}.png")


def shades(low: float, high: float, seed: int, dtype: type = np.uint16) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 1000, (24, 24)) / 999
    return (low + (high - low) * values).astype(dtype)


@pytest.fixture
def findings(verified, tmp_path):
    def found(code: str, unit: str | None = None, deep: bool = True) -> list[tuple[str, str, str]]:
        report = verified(tmp_path, unit=unit, deep=deep)
        return [(one.path, one.what, one.remedy) for one in report.findings if one.code == code]

    return found


@pytest.mark.parametrize("deep", [True, False])
def test_temperatures_that_would_be_two_shades_of_grey_are_an_error(findings, tmp_path, deep):
    for number in range(3):
        write(tmp_path, "thermal", f"t{number}", shades(29315, 29503, number))
    found = findings("unusable-file", deep=deep)
    assert len(found) == 3 and all("--unit centikelvin or decikelvin" in remedy for *_, remedy in found)
    assert findings("unusable-file", "centikelvin", deep) == findings("small-part", "centikelvin", deep) == []


def test_twelve_bits_in_sixteen_are_told_with_the_option_that_mends_it(findings, tmp_path):
    write(tmp_path, "nir", "dark", shades(100, 900, 0))
    write(tmp_path, "nir", "bright", shades(100, 4000, 1))
    found = findings("small-part")
    assert {path for path, *_ in found} == {"cam/nir/cat/dark.png", "cam/nir/cat/bright.png"}
    assert all("of 0..65,535" in what and "--unit 12-bit" in remedy for _, what, remedy in found)
    assert findings("small-part", "12-bit") == []


def test_an_image_of_few_shades_is_told_where_the_set_uses_all_bits(findings, tmp_path):
    write(tmp_path, "nir", "full", shades(0, 65535, 0))
    write(tmp_path, "nir", "flat", shades(40000, 40200, 1))
    write(tmp_path, "nir", "eight", shades(0, 255, 2, np.uint8))
    ((path, _, remedy),) = findings("small-part")
    assert path == "cam/nir/cat/flat.png" and "--encoding stretch" in remedy


def test_kelvin_read_as_celsius_is_told(findings, tmp_path):
    write(tmp_path, "thermal", "t", shades(292, 296, 0, np.float32))
    ((_, what, remedy),) = findings("doubtful-unit", "celsius")
    assert "at 294 degrees Celsius when read as celsius" in what and "kelvin" in remedy
    assert findings("doubtful-unit", "kelvin") == []
