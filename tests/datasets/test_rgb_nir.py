from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.rgb_nir import CATEGORIES, RgbNir
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError

pytestmark = pytest.mark.slow


def load(root: Path, **changes: object) -> RgbNir:
    sensors = {"source": "rgb", "target": "nir"}
    return RgbNir(DatasetConfig(name="rgb-nir", root=root, **{**sensors, **changes}))


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("nir") / "twin"
    make_twin("rgb-nir", out, per_class=4)
    return out


@pytest.fixture
def own(twin, tmp_path) -> Path:
    return Path(shutil.copytree(twin, tmp_path / "own"))


def test_the_twin_has_all_ways_in_which_infrared_is_stored(twin):
    stored = [tifffile.imread(path) for path in sorted(twin.rglob("*_nir.tiff"))]
    assert {(pixels.ndim, pixels.dtype.name) for pixels in stored} == {
        (2, "uint8"),
        (3, "uint8"),
        (2, "uint16"),
        (3, "uint16"),
    }
    assert len({pixels.shape[:2] for pixels in stored}) > 1


def test_the_twin_is_read_from_the_root_and_from_its_parent(twin):
    for root in (twin, twin / "nirscene1"):
        dataset = load(root)
        index = dataset.index()
        assert index.classes == CATEGORIES and index.domains == ("epfl",) and len(index.names) == 36
        assert dataset.synthetic
    rows = np.arange(36)
    assert dataset.read(rows, "rgb", 24).shape == (36, 24, 24, 3)
    assert dataset.read(rows, "nir", 24).dtype == np.uint16


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 156), (np.uint16, 40132)])
def test_infrared_keeps_its_bits(own, planes, dtype, value):
    pixels = np.zeros((10, 10, 3), dtype)
    pixels[..., 0] = value  # the first channel counts
    stored = np.moveaxis(pixels, -1, 0) if planes == "separate" else pixels
    half = own / "nirscene1" / "country" / "0001_nir.tiff"
    tifffile.imwrite(half, stored, photometric="rgb", planarconfig=planes)
    read = load(own).read(np.array([0]), "nir", 10)
    assert read.dtype == dtype and (read == value).all()


def test_splits_are_six_to_three(twin):
    for split in load(twin).splits().values():
        assert (len(split.tr_classes), len(split.ti_classes)) == (6, 3)


def test_half_a_pair_is_named_or_left_out(own):
    lost = own / "nirscene1" / "water" / "0002_nir.tiff"
    lost.unlink()
    with pytest.raises(DataError) as refused:
        load(own).index()
    assert str(lost.with_name("0002_rgb.tiff")) in str(refused.value)
    assert "expected 0002_nir.tiff" in str(refused.value) and "--skip-bad" in str(refused.value)
    index = load(own, skip_bad=True).index()
    assert len(index.names) == 35 and any("0002_rgb.tiff" in notice for notice in index.notices)


def test_other_folders_files_and_categories_without_pairs_are_told(own):
    root = own / "nirscene1"
    (root / "people").mkdir()
    (root / "loop").symlink_to(root)
    (root / "field" / "Thumbs.db").write_text("")
    shutil.rmtree(root / "urban")
    (root / "urban").mkdir()
    notices = " ".join(load(own).index().notices)
    for told in ("left out people/", "left out loop/", "such as Thumbs.db", "urban: category left out"):
        assert told in notices


def test_two_files_of_one_half(own):
    country = own / "nirscene1" / "country"
    shutil.copy(country / "0001_nir.tiff", country / "0001_nir.tif")
    with pytest.raises(DataError, match="Keep one of them"):
        load(own).index()


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match=r"is not RGB-NIR Scene: expected folders country to water.*found cats"):
        load(tmp_path)
    (tmp_path / "water").mkdir()
    with pytest.raises(DataError, match="holds no complete pair"):
        load(tmp_path).index()


def test_bad_files_are_named_with_what_to_do(own):
    country = own / "nirscene1" / "country"
    (country / "0001_nir.tiff").write_bytes(b"")
    (country / "0002_nir.tiff").write_bytes((country / "0002_nir.tiff").read_bytes()[:300])
    tifffile.imwrite(country / "0003_nir.tiff", np.full((8, 8), 7.0, np.float32))
    dataset = load(own)
    with pytest.raises(DataError) as refused:
        dataset.read(np.arange(36), "nir", 16)
    message = str(refused.value)
    assert message.startswith("3 of 36 files cannot be used")
    for reason in ("0001_nir.tiff (nir) is empty", "0002_nir.tiff (nir) is truncated", "expected 0..1. Divide"):
        assert reason in message
    assert len(dataset.bad_rows(("rgb", "nir"))) == 3


def test_a_colour_tiff_of_16_bits_that_needs_another_library_says_which(own, monkeypatch):
    half = own / "nirscene1" / "country" / "0001_nir.tiff"
    tifffile.imwrite(half, np.full((8, 8, 3), 999, np.uint16), photometric="rgb")

    def refuse(*_: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile, "TiffFile", refuse)
    with pytest.raises(
        DataError, match=r"0001_nir.tiff \(nir\) is compressed in a way that needs `pip install imagecodecs`"
    ):
        load(own).read(np.array([0]), "nir", 8)
