"""Tensors, arrays, data sets and folders of the same images become the same task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sfda_kit.data.folder_task import ImageFolders, open_folders
from sfda_kit.data.given_images import LABELS_UNREAD, given_task, kept_side, read_series
from sfda_kit.errors import DataError, UserError

SIZE = 56  # kept as 64 px
MODALITIES = ("rgb", "depth")
RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (5, 40, 50, 3), dtype=np.uint8)
DEPTH = RANDOM.integers(1, 5000, (5, 40, 50), dtype=np.uint16)


class Items:
    """A data set of a user, whose items are ``items``."""

    def __init__(self, items) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for folder in ("depth", "ti/rgb", "ti/target"):
        (root / folder).mkdir(parents=True)
    for row in range(5):
        Image.fromarray(DEPTH[row]).save(root / f"depth/{row}.png")
        Image.fromarray(RGB[row]).save(root / f"ti/rgb/{row}.png")
        Image.fromarray(DEPTH[row]).save(root / f"ti/target/{row}.png")
    return root


FORMS = {
    "arrays": (DEPTH, (RGB, DEPTH)),
    "tensors": (
        torch.from_numpy(DEPTH.astype(np.int32))[:, None],
        (torch.from_numpy(RGB).movedim(-1, 1), torch.from_numpy(DEPTH.astype(np.int32))),
    ),
    "colours as fractions": (DEPTH, (torch.from_numpy(RGB).movedim(-1, 1) / 255, DEPTH)),
    "data sets": (Items(DEPTH), Items(zip(RGB, DEPTH, strict=True))),
    "pictures": (Items(map(Image.fromarray, DEPTH)), (Items(map(Image.fromarray, RGB)), Items(DEPTH))),
    "items with labels": (Items((one, 3) for one in DEPTH), Items((a, b, 1) for a, b in zip(RGB, DEPTH, strict=True))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_pixels_of_the_folder(form, folders):
    expected = open_folders(ImageFolders(folders / "depth", folders / "ti", "depth"), SIZE)
    found = given_task(*FORMS[form], MODALITIES, "mm", SIZE)
    assert [name + ".png" for name in found.names] == list(expected.names)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    for mine, theirs in zip(found.pair_pixels, expected.pair_pixels, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert found.notices == ((LABELS_UNREAD,) if "labels" in form else ())


def test_folders_are_read_too(folders):
    expected = open_folders(ImageFolders(folders / "depth", folders / "ti", "depth"), SIZE)
    found = given_task(folders / "depth", str(folders / "ti"), MODALITIES, "mm", SIZE)
    assert found.fingerprint == expected.fingerprint


def test_squares_that_fit_stay_as_they_are():
    assert [kept_side(side, SIZE) for side in (None, 55, 56, 60, 64, 65)] == [64, 64, 56, 60, 64, 64]
    squares = DEPTH[:, :40, :40].repeat(2, 1)[:, :60].repeat(2, 2)[:, :, :60]
    task = given_task(squares, None, MODALITIES, "mm", SIZE)
    assert task.pixels.shape == (5, 60, 60) and task.pair_pixels is None
    np.testing.assert_array_equal(task.pixels, squares[[int(name) for name in task.names]])


def test_names_sort_like_numbers():
    assert read_series(np.zeros((11, 4, 4), np.uint8), "nir", "", "target").names[:3] == ("00", "01", "02")


@pytest.mark.parametrize(
    ("target", "pairs", "reason"),
    [
        (DEPTH[:1], None, "target holds 1 image"),
        (RGB, None, r"target\[0\] has the shape \(40, 50, 3\); expected \(H, W\) of depth.*modality='rgb'"),
        (DEPTH / 1000, None, r"target\[0\] \(depth\) holds float values up to 5.*--unit m"),
        (DEPTH, (RGB / 127.5 - 1, DEPTH), r"ti_pairs\[0\]\[0\] \(rgb\) holds values -1\.\.1.*Normalize"),
        (DEPTH, (RGB, DEPTH[:4]), "5 source and 4 target images"),
        (DEPTH, DEPTH, "An item of ti_pairs is ndarray"),
        (DEPTH, (DEPTH, DEPTH), r"expected \(3, H, W\) of rgb"),
    ],
)
def test_what_cannot_be_used_is_named(target, pairs, reason):
    with pytest.raises(DataError, match=reason):
        given_task(target, pairs, MODALITIES, "mm", SIZE)


@pytest.mark.parametrize("target", [7, iter(DEPTH), DEPTH[:0], {"a": 1}])
def test_what_is_no_collection_is_refused(target):
    with pytest.raises(UserError, match=r"target is .*; expected a folder, an array"):
        given_task(target, None, MODALITIES, "mm", SIZE)
