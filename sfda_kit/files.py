"""Writing of files and folders so that a reader sees a whole one or none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfda_kit.errors import RunError, SfdaKitError, UserError

RESUME = "(--runs-dir for runs, SFDA_KIT_CACHE for the shared cache), then run the same command with --resume."
MAX_TEXT = 2_000_000
"""The largest size of a text that people write, such as settings, in bytes."""
_REASONS = {
    errno.ENOSPC: "the disk is full, or it has no room for more files: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EFBIG: "the file would be larger than is allowed here: choose another folder",
    errno.EIO: "the disk reports an error: check it, or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "permission denied: choose a folder you may write to",
    errno.EPERM: "not permitted: choose a folder you may write to",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.ENOENT: "the folder is gone and none can be made there: choose another one",
    errno.EEXIST: "a file of that name is in the way: choose another folder",
}
_USED_UP = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "bad_alloc", "Cannot allocate memory")


@contextmanager
def atomic(path: Path, advice: str = RESUME) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without error.

    Raises ``UserError`` naming the path where the folder is read-only or the disk is full. ``advice`` ends the message.
    """
    with explain_write_errors(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        work = Path(name)
        try:
            yield work
            work.chmod(0o644)
            sync(work)
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)


def write_whole(out: Path, write: Callable[[Path], int]) -> int:
    """Let ``write`` fill a folder beside ``out``, then move it there; return what ``write`` returns.

    Raises ``UserError`` when ``out`` is not an empty folder or cannot be written.
    """
    out = out.expanduser().absolute()
    _refuse_taken(out)
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        count = write(work)
        work.chmod(0o755)
        work.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Choose another folder.") from None
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return count


def _refuse_taken(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is not an empty folder. Nothing was written; name a new folder or empty this one.")


def sync(path: Path) -> None:
    """Wait until the content of ``path`` is on the disk, so that a rename cannot reach it first."""
    with path.open("rb") as written:
        os.fsync(written.fileno())


def remove_unfinished_writes(folder: Path) -> None:
    """Remove what ``atomic`` left below ``folder`` in a process that was killed. No process may write there now."""
    for left in folder.rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python or torch says that memory, or that of an accelerator, ran out."""
    words = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(one in words for one in _NO_MEMORY)
    )


def scarcity(error: BaseException) -> SfdaKitError | None:
    """Return a message where memory or a disk was used up, wherever that was, else None."""
    words = str(error)
    if is_out_of_memory(error):
        return RunError(
            "There is not enough memory. Use a smaller batch or smaller images (--batch-size, --image-size), or end "
            "other programs, then run the same command with --resume."
        )
    if isinstance(error, OSError) and error.errno in _USED_UP:
        where = error.filename or "a file"
        return UserError(f"Cannot write {where}: {_REASONS[error.errno]} {RESUME}")
    if isinstance(error, RuntimeError) and "PytorchStreamWriter failed writing" in words:  # torch hides the reason
        return UserError(f"Cannot write a file: {_REASONS[errno.ENOSPC]} {RESUME}")
    return None


@contextmanager
def explain_write_errors(path: Path, advice: str = RESUME) -> Iterator[None]:
    """Turn errors of the file system into ``UserError`` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        raise UserError(f"Cannot write {path}: {_REASONS[error.errno]} {advice}") from error


def json_text(value: Any) -> str:
    """Return ``value`` as indented JSON."""
    return json.dumps(value, indent=2, default=str) + "\n"


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Return the text of a regular file of at most ``limit`` bytes.

    Raises ``OSError`` where it cannot be read, and ``ValueError`` with one sentence for a pipe or a device, for a
    larger file, and for text that is not UTF-8.
    """
    content = read_regular(path, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it is larger than {limit // 1_000_000} MB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from None


def read_regular(path: Path, most: int) -> bytes:
    """Return the first ``most`` bytes of a regular file.

    Raises ``OSError`` where it cannot be read, and ``ValueError`` for a pipe or a device, which may hang or never end.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        return file.read(most)


def _open_at_once(name: str, flags: int) -> int:
    """Open without waiting for whoever writes into a pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic(path) as work:
        work.write_text(json_text(value), encoding="utf-8")
