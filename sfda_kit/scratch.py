"""Memory that lies in a file without a name, for arrays of large sets. The disk has it back when the process ends."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from sfda_kit.errors import UserError
from sfda_kit.files import explain_write_errors
from sfda_kit.paths import SCRATCH_VARIABLE, scratch_dir

LARGE_BYTES = 2**26
"""The bytes (64 MiB) above which an array of one run lies in a file. A run holds about four arrays of this size, so
below it they take 256 MiB, about as much as the libraries, and no disk is needed."""
_ADVICE = f"(set {SCRATCH_VARIABLE} to its path)."
_NO_RESERVING = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def scratch_memory(length: int) -> mmap.mmap:
    """Return ``length`` bytes, all 0, that lie in a file of the scratch folder and are mapped into memory.

    The file has no name where the system allows that, so nothing stays when the process ends or is killed. Its room on
    the disk is reserved here. Raises ``UserError`` where there is too little of it.
    """
    folder = scratch_dir()
    with explain_write_errors(folder, _ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                _reserve(file, folder, length)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
                raise UserError(_no_room(folder, length, error)) from None
            return mmap.mmap(file.fileno(), length)


def _reserve(file: IO[bytes], folder: Path, length: int) -> None:
    """Give ``file`` its length and room on the disk: a mapped write that finds no room would kill the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except OSError as error:
            if error.errno not in _NO_RESERVING:
                raise
        else:
            return
    if shutil.disk_usage(folder).free < length:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.truncate(length)


def _no_room(folder: Path, length: int, error: OSError) -> str:
    free = shutil.disk_usage(folder).free
    return (
        f"An array of this run needs {length / 2**30:.2f} GiB in {folder}, where {free / 2**30:.2f} GiB are free "
        f"({error.strerror}). Free some space there, or choose a folder on another disk {_ADVICE}"
    )
