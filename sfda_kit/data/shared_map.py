"""NPY files mapped into memory; a file counts as in use as long as any process maps it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

HAS_LOCKS = sys.platform != "win32"
"""Windows refuses by itself to remove a file that is mapped."""
if sys.platform != "win32":
    import fcntl


def open_mapped(path: Path) -> NDArray[np.generic] | None:
    """The array in ``path``, read-only and mapped; None where no whole NPY file without objects lies.

    The mark "in use" is a shared lock on the file. The mapping holds it, so it goes with the last array
    that looks into the file, or with the process, however that ends.
    """
    try:
        with path.open("rb") as file:
            _lock_shared(file)
            # Between opening and locking, the file may have been removed or exchanged.
            return _array(file) if _lies_at(file, path) else None
    except (OSError, ValueError, EOFError):
        return None


def remove_unused(path: Path) -> bool:
    """Remove the file; False where it stays, because it is in use or may not be removed."""
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
    """Whether some process maps the file at this moment (always False on Windows)."""
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
        # A file system without locks: then nothing there can be locked for removal either.
        return


def _lies_at(file: BinaryIO, path: Path) -> bool:
    opened, found = os.fstat(file.fileno()), path.stat()
    return (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino)


def _array(file: BinaryIO) -> NDArray[np.generic]:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("holds objects")
    if 0 in shape:
        return np.empty(shape, dtype)
    # mmap duplicates the descriptor, and with it the lock: closing the file does not release it.
    return np.memmap(file, dtype, "r", offset=file.tell(), shape=shape, order="F" if column_major else "C")
