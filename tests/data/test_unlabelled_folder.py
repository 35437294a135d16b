from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfda_kit.data.unlabelled_folder import find_pairs, find_unlabelled, load_pairs
from sfda_kit.errors import DataError


@pytest.fixture
def target(tmp_path, write_image, depth) -> Path:
    for name in ("frame10.png", "frame9.png", "day 2/frame1.png", "day 2/._frame1.png"):
        write_image(tmp_path / "target" / name, depth)
    (tmp_path / "target" / "notes.txt").write_text("not an image")
    return tmp_path / "target"


@pytest.fixture
def pairs(tmp_path, write_image, rgb, depth) -> Path:
    for name in ("one", "deeper/two"):
        write_image(tmp_path / "ti" / "rgb" / f"{name}.jpg", rgb)
        write_image(tmp_path / "ti" / "target" / f"{name}.png", depth)
    return tmp_path / "ti"


def test_images_are_found_at_any_depth_in_natural_order(target):
    (target / "day 2" / "back").symlink_to(target)
    files, notices = find_unlabelled(target, "depth")
    assert files.files == ["frame9.png", "frame10.png", "day 2/frame1.png"]
    assert notices == ()
    pixels = files.load(16)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint16


def test_bad_images_stop_or_are_left_out(target):
    (target / "frame9.png").write_bytes(b"")
    files, _ = find_unlabelled(target, "depth")
    with pytest.raises(DataError, match="zero bytes"):
        files.load(16)
    files, notices = find_unlabelled(target, "depth", skip_bad=True)
    assert files.files == ["frame10.png", "day 2/frame1.png"]
    assert "frame9.png" in notices[0]


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="--target-dir"):
        find_unlabelled(tmp_path / "missing", "depth")
    with pytest.raises(DataError, match="holds no usable image"):
        find_unlabelled(tmp_path, "depth")
    with pytest.raises(DataError, match=r"--ti-dir .*rgb"):
        find_pairs(tmp_path, "rgb", "depth")


def test_pairs_are_matched_by_relative_stem(pairs):
    found = find_pairs(pairs, "rgb", "depth")
    assert found.source.files == ["deeper/two.jpg", "one.jpg"]
    assert found.target.files == ["deeper/two.png", "one.png"]
    source, target = load_pairs(found, 16)
    assert source.shape == (2, 16, 16, 3)
    assert target.shape == (2, 16, 16)


def test_lonely_and_bad_halves_stop_or_are_left_out(pairs, write_image, rgb):
    write_image(pairs / "rgb" / "three.jpg", rgb)
    with pytest.raises(DataError, match=r"three\.jpg has no other half: expected .*target/three with one of"):
        find_pairs(pairs, "rgb", "depth")
    (pairs / "target" / "one.png").write_bytes(b"")
    found = find_pairs(pairs, "rgb", "depth", skip_bad=True)
    assert found.source.files == ["deeper/two.jpg"]
    assert len(found.notices) == 2
    (pairs / "rgb" / "three.png").write_bytes(b"x")
    with pytest.raises(DataError, match="with one stem"):
        find_pairs(pairs, "rgb", "depth")
