from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sfda_kit.config.models import DatasetConfig
from sfda_kit.datasets.eurosat import BANDS, CLASSES, Eurosat
from sfda_kit.datasets.twins import make_twin
from sfda_kit.errors import DataError, UserError


def load(root: Path, **changes: object) -> Eurosat:
    sensors = {"source": "rgb", "target": "nir"}
    return Eurosat(DatasetConfig(name="eurosat", root=root, **{**sensors, **changes}))


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("eurosat") / "twin"
    make_twin("eurosat", out, per_class=2)
    return out


@pytest.fixture
def own(twin, tmp_path) -> Path:
    return Path(shutil.copytree(twin, tmp_path / "own"))


def patch(values: dict[str, int], planes_first: bool = False) -> np.ndarray:
    """64 x 64 pixels, each band filled with its value, 0 where none is given."""
    stored = np.zeros((64, 64, 13), np.uint16)
    for band, value in values.items():
        stored[..., BANDS.index(band)] = value
    return np.moveaxis(stored, -1, 0) if planes_first else stored


def test_the_twin_is_read_in_all_modalities(twin):
    dataset = load(twin)
    index = dataset.index()
    assert index.classes == CLASSES and index.domains == ("sentinel2",) and len(index.names) == 20
    assert dataset.synthetic and not Eurosat.synthetic
    rows = np.arange(20)
    assert dataset.read(rows, "rgb", 32).shape == (20, 32, 32, 3)
    nir, swir = dataset.read(rows, "nir", 32), dataset.read(rows, "swir", 32)
    assert nir.shape == swir.shape == (20, 32, 32) and nir.dtype == np.uint8
    assert (nir != swir).any()


def test_splits_cover_all_classes_six_to_four(twin):
    for split in load(twin).splits().values():
        assert (len(split.tr_classes), len(split.ti_classes)) == (6, 4)
        assert set(split.tr_classes) | set(split.ti_classes) == set(CLASSES)


@pytest.mark.parametrize("planes_first", [False, True])
def test_bands_are_taken_by_name_and_scaled(tmp_path, planes_first):
    stored = patch({"B04": 2750, "B03": 1375, "B02": 9000, "B08": 2500, "B8A": 5000, "B11": 1000}, planes_first)
    folder = tmp_path / "Forest"
    folder.mkdir()
    tifffile.imwrite(folder / "Forest_1.tif", stored, photometric="minisblack")
    row = np.array([0])
    dataset = load(tmp_path)
    assert dataset.read(row, "rgb", 8)[0, 0, 0].tolist() == [255, 128, 255]
    assert (dataset.read(row, "nir", 8)[0, 0, 0], dataset.read(row, "swir", 8)[0, 0, 0]) == (128, 51)
    other = load(tmp_path, options={"nir": "B8A", "infrared_full_scale": 10000})
    assert other.read(row, "nir", 8)[0, 0, 0] == 128  # and not what the cache holds of B08
    assert other.fingerprint() != dataset.fingerprint()


def test_the_root_may_lie_deep_as_the_old_archive_unpacks(own):
    deep = own / "ds/images/remote_sensing/otherDatasets/sentinel_2/tif"
    deep.parent.mkdir(parents=True)
    (own / "EuroSAT_MS").rename(deep)
    assert len(load(own).index().names) == 20


def test_a_folder_that_is_something_else(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"is not EuroSAT: expected folders AnnualCrop.*found cats, loop"):
        load(tmp_path)
    (tmp_path / "Forest").mkdir()
    with pytest.raises(DataError, match=r"holds no \.tif"):
        load(tmp_path).index()
    with pytest.raises(UserError, match="swir: Input should be 'B11' or 'B12'"):
        load(tmp_path, options={"swir": "B10"})
    with pytest.raises(UserError, match=r"there is no 'nirr'\. Did you mean 'nir'"):
        load(tmp_path, options={"nirr": "B08"})


def test_what_is_passed_over_is_told(own):
    root = own / "EuroSAT_MS"
    (root / "Clouds").mkdir()
    shutil.rmtree(root / "River")
    (root / "River").mkdir()
    (root / "Forest" / "notes.txt").write_text("mine")
    index = load(own).index()
    assert "River" not in index.classes and len(index.names) == 18
    notices = " ".join(index.notices)
    for told in ("left out Clouds/", "River: class left out", "such as notes.txt", "each sample is its own group"):
        assert told in notices


def test_every_kind_of_bad_file_is_named_with_what_to_do(own):
    root = own / "EuroSAT_MS"
    good = (root / "Forest" / "Forest_1.tif").read_bytes()
    (root / "Forest" / "Forest_1.tif").write_bytes(b"")
    (root / "Forest" / "Forest_2.tif").write_bytes(good[: len(good) // 2])
    (root / "River" / "River_1.tif").write_bytes(b"no picture at all")
    tifffile.imwrite(root / "River" / "River_2.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(root / "Highway" / "Highway_1.tif", patch({}).astype(np.float32), photometric="minisblack")
    (root / "Highway" / "Highway_2.tif").unlink()
    (root / "Highway" / "Highway_2.tif").symlink_to("Highway_2.tif")
    dataset = load(own)
    with pytest.raises(DataError) as refused:
        dataset.read(np.arange(20), "nir", 16)
    message = str(refused.value)
    assert message.startswith("6 of 20 files cannot be used")
    for reason in (
        "Forest_1.tif (nir) is empty (zero bytes)",
        "Forest_2.tif (nir) is truncated or damaged",
        "River_1.tif (nir) is truncated or damaged",
        "River_2.tif (nir) has shape (64, 64, 3); expected 13 bands. Is it the RGB release?",
        "Highway_1.tif (nir) holds float32 values; expected uint16",
        "Highway_2.tif (nir) ",
    ):
        assert reason in message
    assert len(dataset.bad_rows(("rgb", "nir"))) == 6


def test_files_that_claim_too_much_or_need_another_library(own, monkeypatch):
    monkeypatch.setattr("sfda_kit.datasets.band_reader.MAXIMUM_PIXELS", 1000)
    with pytest.raises(DataError, match=r"claims 53248 values; the limit is 1000\. Scale"):
        load(own).read(np.array([0]), "nir", 8)

    def refuse(*_: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile, "TiffFile", refuse)
    with pytest.raises(DataError, match="Its compression needs `pip install imagecodecs`"):
        load(own).read(np.array([0]), "nir", 8)


def test_a_file_that_goes_missing(own):
    dataset = load(own)
    dataset.index()
    (own / "EuroSAT_MS" / "Forest" / "Forest_1.tif").unlink()
    with pytest.raises(DataError, match=r"Forest_1.tif \(rgb\) cannot be opened \(it is missing\)"):
        dataset.read(np.arange(20), "rgb", 8)
