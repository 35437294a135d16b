"""A damaged row of a cached array is found before it is used, and the array is made again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.checked_array import checked, open_checked, write_rows
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.data.views import TargetView
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import modality
from sfda_kit.rooms.dataset import Rooms

ROWS = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3), np.uint8)
Damage = Callable[[Path], object]


def write(path: Path) -> Path:
    write_rows(path, ROWS, ROWS.shape, ROWS.dtype)
    return path


def change(path: Path, place: int, content: bytes) -> None:
    """Change the bytes of the file itself, as a disk does, so that a process that maps it sees them."""
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
        file.write(content)


def flip_a_pixel(path: Path) -> None:
    place = path.stat().st_size // 2
    change(path, place, bytes([path.read_bytes()[place] ^ 1]))


DAMAGE: dict[str, Damage] = {
    "a flipped pixel": flip_a_pixel,
    "a zeroed tail": lambda path: change(path, -700, bytes(700)),
    "a flipped checksum": lambda path: change(path, -1, b"\x07"),
    "a flipped type": lambda path: change(path, path.read_bytes().index(b"|u1"), b"|i1"),
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 100),
    "empty": lambda path: os.truncate(path, 0),
}


def test_rows_are_checked_when_they_are_read_and_once(tmp_path: Path):
    path = write(tmp_path / "a.npy")
    assert (np.load(path) == ROWS).all()
    array = open_checked(path)
    assert array is not None and (array == ROWS).all()
    assert array.damaged(np.array([3, 4])) is None
    flip_a_pixel(path)
    assert array.damaged(np.arange(8)) is None and array.damaged(np.arange(20)) == 10
    with pytest.raises(DataError, match="Check the disk"):
        checked(array)
    assert open_checked(tmp_path / "none.npy") is None
    np.save(tmp_path / "plain.npy", ROWS)
    assert open_checked(tmp_path / "plain.npy") is None and checked(ROWS) is ROWS


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_pixels_are_decoded_again(damage: Damage, tmp_path, write_image, rgb, private_cache, caplog):
    names = [f"{number}.png" for number in range(5)]
    for shift, name in enumerate(names):
        write_image(tmp_path / "in" / name, rgb // (shift + 1))
    files = ImageFiles(tmp_path / "in", names, "rgb", "mm")
    whole = np.array(files.load(16))
    (path,) = private_cache.rglob("pixels.npy")
    damage(path)
    with caplog.at_level(logging.WARNING, "sfda_kit"):
        assert (checked(files.load(16)) == whole).all()
    assert f"{path} is damaged: it is set aside as pixels.npy.damaged" in caplog.text
    assert len(caplog.records) == 1 and path.with_name("pixels.npy.damaged").exists()
    assert (files.load(16) == whole).all() and len(caplog.records) == 1


def test_a_view_whose_pixels_are_damaged_under_way_shows_the_right_ones(tmp_path, write_image, rgb, private_cache):
    for number in range(4):
        write_image(tmp_path / "in" / f"{number}.png", rgb // (number + 1))
    pixels = ImageFiles(tmp_path / "in", [f"{number}.png" for number in range(4)], "rgb", "mm").load(36)
    views = [TargetView(pixels, modality("rgb"), ChannelCopy(), 32) for _ in range(2)]
    rows = torch.arange(4)
    first = views[0].batch(rows[:1])
    (path,) = private_cache.rglob("pixels.npy")
    whole = np.array(pixels)
    flip_a_pixel(path)
    assert not (np.array(pixels) == whole).all()
    for view in views:
        assert torch.equal(view.batch(rows[:1]), first)
        assert torch.equal(view.encoded(rows)[:, :, 0, 0], torch.from_numpy(whole[:, 2, 2]).float() / 255)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_rooms_are_rendered_again(damage: Damage, private_cache, caplog):
    rooms = Rooms(DatasetConfig(options={"scenes": 0.01}))
    rows = np.flatnonzero((rooms.index().domain == 0) & (rooms.index().part == rooms.index().part[0]))
    whole = np.array(rooms.read(rows, "rgb", 16))
    (path,) = private_cache.rglob("*.npy")
    damage(path)
    with caplog.at_level(logging.WARNING, "sfda_kit"):
        assert (rooms.peek(rows, "rgb", 16) == whole).all() and not caplog.records
        assert (rooms.read(rows, "rgb", 16) == whole).all()
        assert (rooms.read(rows, "rgb", 16) == whole).all()
    assert len(caplog.records) == 1 and f"{path} is damaged" in caplog.text
