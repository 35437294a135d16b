"""Each set with a loader of its own: its clean twin passes, and broken ones are told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sfda_kit.datasets.twins import make_twin

pytestmark = pytest.mark.slow

LAYOUTS = {
    "sun-rgbd": "sun-rgbd",
    "diml": "diml",
    "diml-full": "diml",
    "rgb-nir": "rgb-nir",
    "eurosat": "eurosat",
    "domain-folder": "domain-folder",
    "list-file": "list-file",
}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The twin of a layout, written once."""
    made: dict[str, Path] = {}

    def twin(layout: str) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp("twins") / layout
            make_twin(layout, made[layout], per_class=2)
        return made[layout]

    return twin


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_clean_twin_passes(twins, verified, layout):
    for deep in (False, True):
        report = verified(twins(layout), LAYOUTS[layout], deep=deep)
        assert not report.errors, [one.as_dict() for one in report.findings]
        assert report.synthetic and report.samples and report.files
    assert report.manifest_written


@pytest.mark.parametrize("layout", ["sun-rgbd", "rgb-nir", "eurosat", "diml", "domain-folder"])
def test_counts_that_are_not_official_are_a_notice(twins, verified, layout):
    report = verified(twins(layout), LAYOUTS[layout], deep=False)
    assert any(one.code == "count" and "officially" in one.what for one in report.findings)


def first(root: Path, pattern: str) -> Path:
    return min(root.rglob(pattern))


def zero(pattern: str) -> Callable[[Path], Path]:
    def breaks(root: Path) -> Path:
        path = first(root, pattern)
        path.write_bytes(b"")
        return path

    return breaks


def remove(pattern: str, told: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def breaks(root: Path) -> Path:
        path = first(root, pattern)
        path.unlink()
        return told(path)

    return breaks


def truncate(pattern: str) -> Callable[[Path], Path]:
    def breaks(root: Path) -> Path:
        path = first(root, pattern)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return breaks


def other_bands(root: Path) -> Path:
    path = first(root, "Forest_*.tif")
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    return path


def bands_of_the_wrong_dtype(root: Path) -> Path:
    path = first(root, "Forest_*.tif")
    tifffile.imwrite(path, np.ones((64, 64, 13), np.uint8), photometric="minisblack")
    return path


def dark_depth(root: Path) -> Path:
    path = first(root, "depth_bfx/*.png")
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(path)
    return path


def two_images(root: Path) -> Path:
    path = first(root, "image/*.jpg")
    shutil.copy(path, path.with_name("second.jpg"))
    return path.parent


def no_word(root: Path) -> Path:
    path = first(root, "scene.txt")
    path.write_text("two words")
    return path


def line(text: str) -> Callable[[Path], Path]:
    def breaks(root: Path) -> Path:
        with (root / "list.csv").open("a") as table:
            table.write(text + "\n")
        return root / "list.csv"

    return breaks


def image_again(root: Path) -> Path:
    images = sorted((root / "nirscene1" / "country").glob("*_rgb.tiff"))
    other = sorted((root / "nirscene1" / "field").glob("*_rgb.tiff"))[0]
    shutil.copy(images[0], other)
    return other


def itself(path: Path) -> Path:
    return path


BROKEN: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "sun: zero bytes": ("sun-rgbd", zero("image/*.jpg"), "empty-file"),
    "sun: no depth": ("sun-rgbd", remove("depth_bfx/*.png", lambda path: path.parent), "incomplete-sample"),
    "sun: two images in a frame": ("sun-rgbd", two_images, "incomplete-sample"),
    "sun: no scene": ("sun-rgbd", remove("scene.txt", lambda path: path.parent), "incomplete-sample"),
    "sun: scene of two words": ("sun-rgbd", no_word, "incomplete-sample"),
    "sun: dark depth": ("sun-rgbd", dark_depth, "unusable-file"),
    "eurosat: zero bytes": ("eurosat", zero("*.tif"), "empty-file"),
    "eurosat: truncated": ("eurosat", truncate("*.tif"), "unusable-file"),
    "eurosat: the RGB release": ("eurosat", other_bands, "unusable-file"),
    "eurosat: 8 bits": ("eurosat", bands_of_the_wrong_dtype, "unusable-file"),
    "rgb-nir: no other half": (
        "rgb-nir",
        remove("*_nir.tiff", lambda path: path.with_name(path.name.replace("nir", "rgb"))),
        "incomplete-sample",
    ),
    "rgb-nir: one image in two categories": ("rgb-nir", image_again, "duplicate-across-classes"),
    "diml: truncated": ("diml", truncate("LR/*/color/*.png"), "unusable-file"),
    "diml: depth in 8 bits": (
        "diml",
        lambda root: _save(first(root, "LR/*/depth_filled/*.png"), np.ones((9, 16), np.uint8)),
        "unusable-file",
    ),
    "domains: zero bytes": ("domain-folder", zero("amazon/**/*.*g"), "empty-file"),
    "list: path out of the root": ("list-file", line("../secret.png,arch,cam,rgb,,source"), "incomplete-sample"),
    "list: absolute path": ("list-file", line("/etc/passwd.png,arch,cam,rgb,,source"), "incomplete-sample"),
    "list: file that is not there": ("list-file", line("gone.png,arch,cam,rgb,,source"), "incomplete-sample"),
    "list: unknown role": ("list-file", line("images/000000_rgb.png,arch,cam,rgb,,tester"), "incomplete-sample"),
    "list: a path twice": ("list-file", line("images/000000_rgb.png,arch,cam,rgb,,source"), "incomplete-sample"),
    "list: no modality of that name": ("list-file", line("x.png,arch,cam,sonar,,source"), "incomplete-sample"),
}


def _save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sets_are_told(twins, verified, tmp_path, name):
    layout, breaks, code = BROKEN[name]
    own = Path(shutil.copytree(twins(layout), tmp_path / "own"))
    path = breaks(own)
    report = verified(own, layout)
    where = path.relative_to(report.root).as_posix()
    found = [one for one in report.findings if one.code == code and one.path == where]
    assert found and report.errors, [one.as_dict() for one in report.findings]
    assert all(one.as_dict()["remedy"] for one in report.findings)


def test_a_set_in_one_file(verified, tmp_path):
    h5py = pytest.importorskip("h5py")
    make_twin("nyuv2", tmp_path / "twin", per_class=2)
    report = verified(tmp_path / "twin", "nyuv2")
    assert not report.errors and {one.code for one in report.findings} == {"count"} and report.manifest_written
    (mat,) = (tmp_path / "twin").glob("*.mat")
    with h5py.File(mat, "r+") as file:
        file["images"][2] = file["images"][0]
        file["depths"][3] = 0
    found = {(one.code, one.path.rpartition("/")[2]) for one in verified(tmp_path / "twin", "nyuv2").findings}
    copied = {code for code, path in found if path == "nyu0003 (rgb)"}
    assert "changed" in copied and any("duplicate" in code for code in copied)
    assert ("unusable-file", "nyu0004") in found
    mat.write_bytes(mat.read_bytes()[:3000])
    broken = verified(tmp_path / "twin", "nyuv2")
    assert broken.errors == 1 and mat.name in broken.findings[0].what


def test_the_whole_list_may_be_broken(twins, verified, tmp_path):
    own = Path(shutil.copytree(twins("list-file"), tmp_path / "own"))
    (own / "list.csv").write_bytes(b"\xff\xfe\x00")
    report = verified(own, "list-file")
    assert [one.code for one in report.findings if one.rule.severity == "error"] == ["layout"]
    assert report.files  # the images are looked at all the same


def test_a_folder_that_is_another_set(twins, verified):
    report = verified(twins("list-file"), "rgb-nir")
    assert report.errors == 1 and "is not RGB-NIR" in report.findings[0].what
    assert not report.files and report.manifest is None
