"""Decoded images stay below a size; what is in use by any process stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.data.cache_limit import cache_limit, make_room, remove_entry
from sfda_kit.data.decode_cache import ImageFiles
from sfda_kit.data.shared_map import is_used, open_mapped, remove_unused
from sfda_kit.errors import UserError

SIZE = 16
BYTES = 2 * SIZE * SIZE * 3
needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses by itself to remove mapped files")

HOLD = """
import sys, time
from pathlib import Path
from sfda_kit.data.shared_map import open_mapped
pixels = open_mapped(Path(sys.argv[1]))
print(pixels.shape, flush=True)
time.sleep(120)
"""
FILL = """
import sys
from dataclasses import dataclass
from pathlib import Path
from sfda_kit.data.decode_cache import FileReader, ImageFiles

@dataclass(frozen=True)
class Telling(FileReader):
    def __call__(self, path, modality, depth_unit):
        with open("decoded.txt", "a") as told:
            told.write(path.name + "\\n")
        return super().__call__(path, modality, depth_unit)

names = [f"{n}.png" for n in range(5)]
print(int(ImageFiles(Path(sys.argv[1]), names, "rgb", "mm", Telling()).load(16).sum()))
"""


@pytest.fixture
def view(tmp_path, write_image, rgb):
    """Factory of views of two images each; equal numbers are equal views."""

    def make(number: int) -> ImageFiles:
        folder = tmp_path / f"view{number}"
        if not folder.exists():
            for name in ("a.png", "b.png"):
                write_image(folder / name, rgb // (number + 1))
        return ImageFiles(folder, ["a.png", "b.png"], "rgb", "mm")

    return make


def limit_to(monkeypatch: pytest.MonkeyPatch, entries: float) -> None:
    # Beside its pixels an entry has a header and a note, together less than half of them here.
    monkeypatch.setenv("SFDA_KIT_CACHE_LIMIT", f"{int(BYTES * 1.4 * entries)}")


def pixel_files(cache: Path) -> dict[str, Path]:
    return {path.parent.name: path for path in cache.rglob("pixels.npy")}


def aged(cache: Path, seconds: int) -> set[str]:
    """Pretend that all entries were last used that long before the year 2001; returns their names."""
    for path in cache.rglob("*"):
        if path.is_file():
            os.utime(path, (10**9 - seconds,) * 2)
    return set(pixel_files(cache))


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20 * 10**9), ("500 MB", 5 * 10**8), ("1.5t", 15 * 10**11), ("4096", 4096), ("2GiB", 2 * 10**9)],
)
def test_sizes_are_read(monkeypatch, text, size):
    monkeypatch.setenv("SFDA_KIT_CACHE_LIMIT", text)
    assert cache_limit() == size


def test_no_limit_a_default_and_nonsense(monkeypatch):
    monkeypatch.delenv("SFDA_KIT_CACHE_LIMIT", raising=False)
    assert cache_limit() == 50 * 10**9
    monkeypatch.setenv("SFDA_KIT_CACHE_LIMIT", "none")
    assert cache_limit() is None
    monkeypatch.setenv("SFDA_KIT_CACHE_LIMIT", "much")
    with pytest.raises(UserError, match="is 'much'; expected a size such as 20GB"):
        cache_limit()


@needs_locks
def test_what_was_used_longest_ago_goes_first(view, private_cache, monkeypatch):
    limit_to(monkeypatch, 2.2)
    view(0).load(SIZE)
    first = aged(private_cache, 30)
    view(1).load(SIZE)
    second = set(pixel_files(private_cache)) - first
    for path in private_cache.rglob("*"):
        if path.parent.name in second:
            os.utime(path, (10**9,) * 2)
    view(0).load(SIZE)  # used again: now the second is the older one
    view(2).load(SIZE)
    left = set(pixel_files(private_cache))
    assert first <= left and not second & left and len(left) == 2


@needs_locks
def test_mapped_pixels_are_never_removed_though_the_limit_is_exceeded(view, private_cache, monkeypatch):
    limit_to(monkeypatch, 0.5)
    held = [view(number).load(SIZE) for number in range(3)]
    assert len(pixel_files(private_cache)) == 3
    part = held.pop(0)[1:, 2]  # a view of the array keeps it in use as well
    held.clear()
    view(3).load(SIZE)
    assert len(pixel_files(private_cache)) == 2
    assert part.sum() > 0
    del part
    view(4).load(SIZE)
    assert len(pixel_files(private_cache)) == 1


@needs_locks
def test_another_process_keeps_an_entry_until_it_ends_however_it_ends(view, private_cache):
    view(0).load(SIZE)
    path = next(iter(pixel_files(private_cache).values()))
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("(2, 16, 16, 3)")
        assert is_used(path)
        assert not remove_unused(path) and not remove_entry(path.parent)
        assert path.is_file()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not is_used(path)
    assert remove_entry(path.parent) and not path.parent.exists()


@pytest.mark.slow
def test_processes_that_want_one_entry_decode_it_once(tmp_path, write_image, rgb, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        write_image(tmp_path / "in" / f"{number}.png", rgb // (number + 1))
    running = [
        subprocess.Popen([sys.executable, "-c", FILL, str(tmp_path / "in")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    sums = {process.communicate()[0] for process in running}
    assert len(sums) == 1 and int(sums.pop()) > 0
    assert sorted((tmp_path / "decoded.txt").read_text().split()) == [f"{number}.png" for number in range(5)]


def test_what_a_killed_process_left_is_removed_when_the_entry_is_filled(view, private_cache):
    view(0).load(SIZE)
    path = next(iter(pixel_files(private_cache).values()))
    half = path.parent / ".writing-killed"
    half.mkdir()
    (half / "pixels.npy").write_bytes(b"x" * 1000)
    path.unlink()
    view(0).load(SIZE)
    assert sorted(found.name for found in path.parent.iterdir()) == ["entry.json", "pixels.npy"]


@needs_locks
def test_unfinished_entries_count_and_go(view, private_cache, monkeypatch):
    half = private_cache / "decoded" / "killed" / ".writing-x"
    half.mkdir(parents=True)
    (half / "pixels.npy").write_bytes(b"x" * BYTES * 4)
    limit_to(monkeypatch, 1.2)
    view(0).load(SIZE)
    assert not half.exists()


def test_a_list_of_bad_files_outlives_the_limit(view, private_cache, monkeypatch):
    view(0).bad()
    limit_to(monkeypatch, 0)
    make_room(private_cache / "decoded", 10)
    assert list(private_cache.rglob("bad.json"))


def test_a_removed_file_is_not_opened_and_objects_never_are(tmp_path):
    assert open_mapped(tmp_path / "none.npy") is None
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert open_mapped(tmp_path / "objects.npy") is None
    np.save(tmp_path / "columns.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))
    columns = open_mapped(tmp_path / "columns.npy")
    assert columns is not None and columns.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.save(tmp_path / "empty.npy", np.empty((0, 4)))
    empty = open_mapped(tmp_path / "empty.npy")
    assert empty is not None and empty.shape == (0, 4)
