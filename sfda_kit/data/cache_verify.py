"""A check of everything in the user cache against its checksums. What is damaged is set aside, and made again later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sfda_kit.checksums import ASIDE, DamagedFileError, damaged_files, read_sealed, set_aside
from sfda_kit.data.cache_contents import UNFINISHED, CacheEntry
from sfda_kit.data.cache_limit import PIXELS, REASONS, lock_of
from sfda_kit.data.checked_array import array_is_damaged


@dataclass(frozen=True)
class Verified:
    """``damaged``: the files and folders that were set aside."""

    files: int
    size: int
    damaged: tuple[Path, ...]


def verify(entries: Iterable[CacheEntry], progress: Callable[[CacheEntry], object]) -> Verified:
    """Check all entries; ``progress`` is called before each. An entry waits for a process that is making it."""
    checks = {"decoded": _decoded, "stages": _stage, "rooms": _rooms, "shards": _shards}
    files, size, damaged = 0, 0, []
    for entry in entries:
        progress(entry)
        for path, is_damaged in checks[entry.kind](entry.path):
            files += 1
            if is_damaged:
                damaged.append(path)
        size += entry.size
    return Verified(files, size, tuple(damaged))


def _decoded(folder: Path) -> Iterable[tuple[Path, bool]]:
    with FileLock(lock_of(folder)):
        yield from _array(folder / PIXELS)
        yield from _sealed(folder / REASONS)


def _rooms(folder: Path) -> Iterable[tuple[Path, bool]]:
    for path in sorted(folder.glob("*.npy")):
        with FileLock(path.with_suffix(".lock")):
            yield from _array(path)


def _shards(folder: Path) -> Iterable[tuple[Path, bool]]:
    for path in sorted(folder.glob("*.json")):
        yield from _sealed(path)


def _stage(folder: Path) -> Iterable[tuple[Path, bool]]:
    """An unfinished stage has a checkpoint that is checked when it continues."""
    if folder.suffix in (UNFINISHED, ASIDE):
        return
    with FileLock(folder.with_suffix(".lock")):
        is_damaged = bool(damaged_files(folder))
        if is_damaged:
            set_aside(folder)
    yield folder, is_damaged


def _array(path: Path) -> Iterable[tuple[Path, bool]]:
    if path.exists():
        damaged = array_is_damaged(path)
        if damaged:
            set_aside(path)
        yield path, damaged


def _sealed(path: Path) -> Iterable[tuple[Path, bool]]:
    if not path.exists():
        return
    try:
        read_sealed(path)
    except DamagedFileError:
        set_aside(path)
        yield path, True
    else:
        yield path, False
