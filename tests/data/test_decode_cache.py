from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.data import decode_cache
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.errors import DataError, UserError


@pytest.fixture
def files(tmp_path, write_image, rgb) -> ImageFiles:
    names = [f"{number}.png" for number in range(5)]
    for shift, name in enumerate(names):
        write_image(tmp_path / "in" / name, rgb // (shift + 1))
    return ImageFiles(tmp_path / "in", names, "rgb", "mm")


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names in the order in which they were decoded."""
    names: list[str] = []
    original = decode_cache.read_image

    def counting(path: Path, *rest: object) -> object:
        names.append(path.name)
        return original(path, *rest)

    monkeypatch.setattr(decode_cache, "read_image", counting)
    return names


def test_files_are_decoded_once(files, decoded):
    first = files.load(16)
    assert sorted(decoded) == list(files.files)
    again = files.load(16)
    assert len(decoded) == 5
    assert (first == again).all()
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 0
    files.load(8)
    assert len(decoded) == 10


def test_a_changed_file_is_decoded_again(files, decoded, write_image, rgb):
    before = np.array(files.load(24))
    write_image(files.root / "0.png", 255 - rgb)
    os.utime(files.root / "0.png", ns=(1, 1))
    assert (files.load(24)[0] != before[0]).any()
    assert len(decoded) == 10


def test_many_files_are_written_chunk_by_chunk_in_order(files, monkeypatch):
    whole = np.array(files.load(12))
    monkeypatch.setattr(decode_cache, "_CHUNK", 2)
    monkeypatch.setattr(decode_cache, "_DECODER", 99)
    assert (files.load(12) == whole).all()


def test_a_damaged_entry_is_made_anew(files, private_cache):
    whole = np.array(files.load(12))
    entry = next(private_cache.rglob("pixels.npy"))
    for content in (b"", entry.read_bytes()[:200], b"rubbish"):
        entry.write_bytes(content)
        assert (files.load(12) == whole).all()


def test_nothing_stays_behind_when_files_are_bad(files, private_cache):
    (files.root / "3.png").write_bytes(b"")
    with pytest.raises(DataError, match="1 of 5 files cannot be used"):
        files.load(12)
    assert not list(private_cache.rglob("*.npy"))
    assert list(files.bad()) == [3]


def test_a_long_list_of_bad_files_is_cut(files):
    many = ImageFiles(files.root, [f"missing-{number}.png" for number in range(30)], "rgb", "mm")
    with pytest.raises(DataError, match="and 10 more"):
        many.load(12)


def test_bad_files_are_looked_for_once(files, decoded):
    assert files.bad() == {}
    assert files.bad() == {}
    assert len(decoded) == 5


def test_two_threads_may_fill_one_entry(files):
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(files.load(12).sum())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1


def test_a_cache_that_cannot_be_written(files, tmp_path, monkeypatch):
    (tmp_path / "occupied").touch()
    monkeypatch.setenv("SFDA_KIT_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(UserError, match="SFDA_KIT_CACHE"):
        files.load(12)


def test_a_full_disk_is_a_message(files, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(UserError, match="No space left on device"):
        files.load(12)
