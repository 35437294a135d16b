"""The size limit of the cache of decoded images. It removes the entries used longest ago, but none in use."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sfda_kit.data.shared_map import is_used, remove_unused
from sfda_kit.errors import UserError

LIMIT_VARIABLE = "SFDA_KIT_CACHE_LIMIT"
DEFAULT_LIMIT = "50 GB"
PIXELS = "pixels.npy"
REASONS = "bad.json"
"""Lists the files of a view that cannot be decoded, instead of pixels. It is small, so the limit never removes it."""
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def cache_limit() -> int | None:
    """Return ``SFDA_KIT_CACHE_LIMIT`` (or 50 GB) in bytes, None for ``none``. Raises ``UserError`` if it is invalid."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip() or DEFAULT_LIMIT
    if text.lower() == "none":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", text.upper())
    if not found:
        raise UserError(f"{LIMIT_VARIABLE} is {text!r}; expected a size such as 20GB or 500 MB, or none.")
    return int(float(found[1]) * _FACTORS[found[2]])


def make_room(decoded: Path, needed: int) -> None:
    """Remove the entries of ``decoded`` used longest ago, but none in use, to fit ``needed`` more bytes if possible."""
    limit = cache_limit()
    if limit is None:
        return
    with FileLock(decoded / ".evicting.lock"):
        found = {folder: size_of(folder) for folder in entry_folders(decoded)}
        excess = sum(found.values()) + needed - limit
        for folder in sorted(found, key=last_use):
            if excess <= 0:
                return
            if not (folder / REASONS).exists() and remove_entry(folder):
                excess -= found[folder]


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Hold the lock of the entry ``folder``, so that other processes wait while this one fills or removes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder)):
        yield


def remove_entry(folder: Path) -> bool:
    """Remove one entry. Returns False where it is in use or being filled, or where permission is missing."""
    lock = FileLock(lock_of(folder))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    try:
        if not remove_unused(folder / PIXELS):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    finally:
        lock.release()


def entry_in_use(folder: Path) -> bool:
    """Return whether a process maps the pixels of the entry or is writing them."""
    return is_used(folder / PIXELS) or is_locked(lock_of(folder))


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock. Nobody holds a lock file that cannot be created."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def entry_folders(decoded: Path) -> list[Path]:
    """Return the folders of all entries, finished or not."""
    return [path for path in decoded.iterdir() if path.is_dir()] if decoded.is_dir() else []


def last_use(folder: Path) -> float:
    """Return when a file in ``folder`` was last used, in seconds since 1970, or 0 where the folder is gone."""
    return max((status.st_mtime for status in _files(folder)), default=0.0)


def size_of(folder: Path) -> int:
    """Return the total size of all files below ``folder`` in bytes."""
    return sum(status.st_size for status in _files(folder))


def touch(path: Path) -> None:
    """Note that ``path`` was used now. A read-only cache stays as it is."""
    with suppress(OSError):
        os.utime(path)


def lock_of(folder: Path) -> Path:
    """Return the lock file beside the entry. It is never removed, as another process may be waiting for it."""
    return folder.with_name(f"{folder.name}.lock")


def _files(folder: Path) -> Iterator[os.stat_result]:
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process may be removing it
            if path.is_file():
                yield path.stat()
