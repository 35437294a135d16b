"""Values of sensors keep all their bits from the file to the encoding, and their unit is right or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sfda_kit.config.loading import load_config
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.data.images import read_image
from sfda_kit.data.views import ImageView
from sfda_kit.errors import DataError, RenamedWarning, UserError
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.modalities import check_unit, modality

SIDE = 16
SHADES = 189
"""Steps of 0.01 K that a scene of 2 K has."""


def scene(dtype: Any = np.uint16, start: float = 29315, step: float = 1) -> NDArray[Any]:
    """A gradient of ``SHADES`` values over an image."""
    values = start + step * np.minimum(np.arange(SIDE * SIDE), SHADES - 1)
    return values.reshape(SIDE, SIDE).astype(dtype)


def view_of(pixels: NDArray[Any], kind: str, encoding: str, **options: float) -> ImageView:
    return ImageView(pixels, modality(kind), build_part("encoding", encoding, options), SIDE)


def shades(encoded: torch.Tensor) -> int:
    """The number of different colours of the first image."""
    return len(encoded[0].flatten(1).unique(dim=1).T)


@pytest.mark.parametrize(
    ("encoding", "options"),
    [("stretch", {"clip": 0.0}), ("range", {"low": 15, "high": 30}), ("copy", {}), ("jet", {"low": 19.5, "high": 23})],
)
def test_a_gradient_of_two_kelvin_survives_from_the_file_to_the_encoding(tmp_path: Path, encoding: str, options: Any):
    Image.fromarray(scene()).save(tmp_path / "t.png")
    pixels = ImageFiles(tmp_path, ["t.png"], "thermal", "centikelvin").load(SIDE)
    view = view_of(pixels, "thermal", encoding, **options)
    degrees = view.sensor(torch.tensor([0]))
    np.testing.assert_allclose(degrees[0, 0], (scene() - 27315) / 100, atol=1e-4)
    assert shades(view.encoded(torch.tensor([0]))) == SHADES
    assert read_image(tmp_path / "t.png", "nir").tolist() == scene().tolist()


@pytest.mark.parametrize(
    ("unit", "stored"),
    [
        ("centikelvin", scene()),
        ("decikelvin", scene(start=2931, step=0)),
        ("kelvin", scene(np.float32, 293.15, 0.01)),
        ("celsius", scene(np.float32, 20, 0.01)),
    ],
)
def test_each_unit_of_temperature_becomes_degrees_celsius(tmp_path: Path, unit: str, stored: NDArray[Any]):
    np.save(tmp_path / "t.npy", stored)
    degrees = read_image(tmp_path / "t.npy", "thermal", f"mm,{unit}")
    assert degrees.dtype == np.float32 and degrees[0, 0] == pytest.approx(20, abs=0.06)


@pytest.mark.parametrize(
    ("stored", "unit", "said"),
    [
        (scene(), "", "--unit centikelvin or decikelvin"),
        (scene(), "decikelvin", "has a median of 2"),
        (scene(), "kelvin", "has a median of 2"),
        (scene(start=2931), "centikelvin", "State another unit"),
        (scene(np.float32, 20, 0.01), "kelvin", "State another unit"),
        (scene(np.float32, 293, 0.01), "", "state the unit: --unit centikelvin"),
        (scene(np.uint8, 20, 0), "celsius", "holds uint8 values"),
        (np.full((4, 4), np.nan, np.float32), "celsius", "no finite value"),
    ],
)
def test_a_unit_that_cannot_be_is_refused_with_what_to_do(tmp_path: Path, stored: NDArray[Any], unit: str, said: str):
    np.save(tmp_path / "t.npy", stored)
    with pytest.raises(DataError, match="thermal") as refused:
        read_image(tmp_path / "t.npy", "thermal", unit)
    assert said in str(refused.value) and "t.npy" in str(refused.value)


def test_eight_bit_thermal_is_what_it_was_and_tells_no_degrees(tmp_path: Path):
    Image.fromarray(scene(np.uint8, 20)).save(tmp_path / "t.png")
    pixels = ImageFiles(tmp_path, ["t.png"], "thermal", "mm").load(SIDE)
    assert pixels.dtype == np.uint8
    encoded = view_of(pixels, "thermal", "copy").encoded(torch.tensor([0]))
    assert torch.equal(encoded[0, 0], torch.from_numpy(pixels[0].astype(np.float32) / 255))
    with pytest.raises(UserError, match="state the files' unit"):
        view_of(pixels, "thermal", "range", low=10, high=40).encoded(torch.tensor([0]))


def test_values_that_no_sensor_measured_are_the_end_of_the_valid_range(tmp_path: Path):
    stored = scene(np.float32, 20, 0.01)
    stored[0, :2] = np.nan, 1e9
    np.save(tmp_path / "t.npy", stored)
    assert read_image(tmp_path / "t.npy", "thermal", "celsius")[0, :2].tolist() == list(modality("thermal").valid)


def test_twelve_bits_in_sixteen_fill_the_scale_when_stated(tmp_path: Path):
    Image.fromarray(scene(start=4095 - SHADES + 1)).save(tmp_path / "n.png")
    read = read_image(tmp_path / "n.png", "nir", "12-bit")
    assert read.dtype == np.uint16 and read.max() == 65535 and len(np.unique(read)) == SHADES
    with pytest.raises(DataError, match="expected 10-bit pixels"):
        read_image(tmp_path / "n.png", "nir", "10-bit")


def test_a_cache_entry_is_as_wide_as_its_widest_image(tmp_path: Path):
    for name, pixels in (("a", scene(np.uint8, 0)), ("b", scene(np.uint8, 0)), ("c", scene(start=60000))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    narrow = ImageFiles(tmp_path, ["a.png", "b.png"], "nir", "").load(SIDE)
    mixed = ImageFiles(tmp_path, ["a.png", "b.png", "c.png"], "nir", "").load(SIDE)
    assert narrow.dtype == np.uint8 and mixed.dtype == np.uint16
    assert (mixed[0] == 257 * narrow[0].astype(np.uint16)).all() and (mixed[2] == scene(start=60000)).all()


def test_floats_are_resized_as_floats(tmp_path: Path):
    np.save(tmp_path / "t.npy", scene(np.float32, 20, 0.01))
    small = ImageFiles(tmp_path, ["t.npy"], "thermal", "celsius").load(SIDE // 2)
    assert small.dtype == np.float32 and len(np.unique(small)) > 40


def test_the_encoding_follows_from_the_unit_unless_it_is_named(tmp_path: Path):
    def encoding(**dataset: str) -> str:
        return load_config({"method": "source-only", "dataset": dataset}).encoding.name

    assert encoding() == encoding(target="thermal@a") == encoding(target="nir@a", unit="12-bit") == "copy"
    assert encoding(target="thermal@a", unit="centikelvin") == "stretch"
    named = {"method": "source-only", "encoding": "jet", "dataset": {"target": "thermal@a", "unit": "celsius"}}
    assert load_config(named).encoding.name == "jet"


def test_an_older_name_works_with_a_notice_and_is_the_same_run():
    new = load_config({"method": "source-only", "dataset": {"unit": "m"}})
    with pytest.warns(RenamedWarning, match=r"dataset\.depth_unit is called dataset\.unit"):
        old = load_config({"method": "source-only", "dataset": {"depth_unit": "m"}})
    assert old.digest() == new.digest() and new.model_dump()["dataset"]["depth_unit"] == "m"
    assert DatasetConfig(**new.dataset.model_dump()) == new.dataset
    thermal = DatasetConfig(unit="centikelvin")
    assert DatasetConfig(**thermal.model_dump()) == thermal and thermal.model_dump()["depth_unit"] is None


def test_a_unit_of_no_image_here_is_refused():
    check_unit("mm,celsius", ("depth", "thermal"))
    with pytest.raises(UserError, match="--unit 12-bit: no image here has this unit"):
        check_unit("12-bit", ("rgb", "thermal"))
    with pytest.raises(UserError, match="expected one of full-scale, mm"):
        load_config({"method": "source-only", "dataset": {"unit": "fahrenheit"}})


@pytest.mark.parametrize(("largest", "dtype"), [(255, "u1"), (4095, ">u2"), (65535, ">u2")])
def test_a_pgm_holds_the_values_that_it_states(tmp_path: Path, largest: int, dtype: str):
    stored = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * (largest // 255)
    (tmp_path / "d.pgm").write_bytes(f"P5\n{SIDE} {SIDE}\n{largest}\n".encode() + stored.astype(dtype).tobytes())
    if largest > 255:
        assert (read_image(tmp_path / "d.pgm", "depth") == stored).all()
    else:
        assert (read_image(tmp_path / "d.pgm", "nir") == stored).all()


@pytest.mark.parametrize("suffix", [".webp", ".bmp"])
def test_other_pictures_that_pillow_reads(tmp_path: Path, rgb: NDArray[Any], suffix: str):
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(rgb).save(tmp_path / f"a{suffix}", **options)
    assert (read_image(tmp_path / f"a{suffix}", "rgb") == rgb).all()


PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"
(SAR,) = re.findall(r"```python\n(# sar_sensor\.py.*?)```", PAGE.read_text(), flags=re.DOTALL)
"""The plugin of the documentation."""


def test_a_stranger_declares_a_modality_in_a_few_lines(install: Callable[[str, str], None], tmp_path: Path):
    install("sar_sensor", SAR)
    root = tmp_path / "data"
    for number, kind in enumerate(("ship", "pier")):
        for name, pixels in (("rgb", np.full((8, 8, 3), 9, np.uint8)), ("sar", scene(np.float32, -20 + number, 0.1))):
            (root / "port" / name / kind).mkdir(parents=True)
            np.save(root / "port" / name / kind / "a.npy", pixels)
    config = load_config(
        {
            "method": "source-only",
            "dataset": {"name": "paired-folder", "root": root, "target": "sar@port", "source": "rgb@port"},
        }
    )
    assert config.encoding.name == "stretch"
    dataset = build_part("dataset", "paired-folder", config=config.dataset)
    pixels = dataset.read(np.array([0, 1]), "sar", SIDE)
    assert pixels.dtype == np.float32 and pixels[0, 0, 0] == pytest.approx(-20 + 1, abs=1)
    assert shades(view_of(pixels, "sar", "range").encoded(torch.tensor([0]))) > 100
    assert read_image(root / "port" / "sar" / "ship" / "a.npy", "sar", "centibels")[0, 0] == pytest.approx(-2)
    with pytest.raises(UserError, match="Unknown modality 'sa'"):
        modality("sa")
