"""NPY files that are mapped into memory. A file is in use as long as any process maps it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

HAS_LOCKS = sys.platform != "win32"
"""Whether file locks are needed. Windows itself refuses to remove a file that is mapped."""
if sys.platform != "win32":
    import fcntl


def array_in(file: BinaryIO) -> NDArray[np.generic]:
    """Map the array at the beginning of ``file``, and leave the file at its first value."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("holds objects")
    if 0 in shape:
        return np.empty(shape, dtype)
    begin = file.tell()
    # mmap duplicates the descriptor together with its lock, so closing the file does not release the lock.
    array = np.memmap(file, dtype, "r", offset=begin, shape=shape, order="F" if column_major else "C")
    file.seek(begin)
    return array


def open_mapped(path: Path, read: Callable[[BinaryIO], NDArray[np.generic]] = array_in) -> NDArray[np.generic] | None:
    """Map the array in ``path`` read-only. Returns None where no complete NPY file without objects is there.

    A shared lock marks the file as in use until the last array on it is gone or the process ends in any way. ``read``
    makes the array of the opened file.
    """
    try:
        with path.open("rb") as file:
            _lock_shared(file)
            # Another process may have removed or replaced the file between opening and locking.
            return read(file) if _lies_at(file, path) else None
    except (OSError, ValueError, EOFError):
        return None


def remove_unused(path: Path) -> bool:
    """Remove the file. Returns False where it stays because it is in use or permission is missing."""
    try:
        if not HAS_LOCKS:
            path.unlink()
            return True
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def is_used(path: Path) -> bool:
    """Return whether a process maps the file at this moment (always False on Windows)."""
    if not HAS_LOCKS:
        return False
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_shared(file: BinaryIO) -> None:
    if not HAS_LOCKS:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:
        # On a file system without locks, no process can lock a file for removal either.
        return


def _lies_at(file: BinaryIO, path: Path) -> bool:
    opened, found = os.fstat(file.fileno()), path.stat()
    return (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino)
