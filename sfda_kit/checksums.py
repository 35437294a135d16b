"""Checksums of files, so that damage on the disk is found when a file is opened. They find accidents, not forgery."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sfda_kit.files import atomic, explain_write_errors, write_json

CHECKSUMS = "checksums.json"
"""The file of a folder that holds the checksums of its other files."""
ASIDE = ".damaged"
"""The end of the name of a file or folder that was set aside."""
_SEAL = b"\nsfda-kit crc32 %08x\n"
_SEAL_BYTES = len(_SEAL % 0)
_BLOCK = 1 << 20


class DamagedFileError(ValueError):
    """The file was changed since it was written, or cannot be read; the message says in a few words what is wrong."""


def write_sealed(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` and its checksum atomically as one file."""
    with atomic(path) as work, work.open("wb") as file:
        file.write(content)
        file.write(_SEAL % zlib.crc32(content))


@contextmanager
def sealed_file(path: Path) -> Iterator[SealedFile]:
    """Yield a file that ``write_sealed`` would write, for content that comes in pieces."""
    with atomic(path) as work, work.open("wb") as file:
        sealed = SealedFile(file)
        yield sealed
        sealed.finish()


class SealedFile:
    """A sealed file takes pieces and writes its checksum behind the last one.

    An error of the disk is kept until ``finish``, because some writers hide it or go on.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sum = file, 0
        self._error: OSError | None = None

    def write(self, piece: bytes | memoryview) -> int:
        """Write a piece, and return its length."""
        if self._error is None:
            try:
                self._file.write(piece)
            except OSError as error:
                self._error = error
        self._sum = zlib.crc32(piece, self._sum)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: ``finish`` writes what is left."""

    def finish(self) -> None:
        """Write the checksum. Raises the ``OSError`` that came up while pieces were written."""
        if self._error is not None:
            raise self._error
        self._file.write(_SEAL % self._sum)


def read_sealed(path: Path) -> bytes:
    """Return what ``write_sealed`` wrote. Raises ``DamagedFileError`` where the file is not whole."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(error.strerror or "it cannot be read") from None
    _compare(stored[-_SEAL_BYTES:], zlib.crc32(memoryview(stored)[:-_SEAL_BYTES]))
    return stored[:-_SEAL_BYTES]


def check_sealed(path: Path) -> None:
    """Compare a file with its checksum a piece at a time. Raises ``DamagedFileError`` as ``read_sealed`` does."""
    total = 0
    try:
        with path.open("rb") as file:
            left = max(path.stat().st_size - _SEAL_BYTES, 0)
            while block := file.read(min(left, _BLOCK)):
                total, left = zlib.crc32(block, total), left - len(block)
            seal = file.read()
    except OSError as error:
        raise DamagedFileError(error.strerror or "it cannot be read") from None
    _compare(seal, total)


def _compare(seal: bytes, total: int) -> None:
    if not re.fullmatch(rb"\nsfda-kit crc32 [0-9a-f]{8}\n", seal):
        raise DamagedFileError("it does not end with its checksum")
    if seal != _SEAL % total:
        raise DamagedFileError("its checksum differs")


def write_checksums(folder: Path, names: Iterable[str], later: Mapping[str, bytes] | None = None) -> None:
    """Write the checksums of the files ``names`` below ``folder``; ``later``: contents of files that follow."""
    found = {name: _checksum(folder / name) for name in sorted(names)}
    found |= {name: _hex(zlib.crc32(content)) for name, content in (later or {}).items()}
    write_json(folder / CHECKSUMS, {"crc32": found})


def damaged_files(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` that differ from their checksum or are missing.
    The file of checksums itself is named where it cannot be read."""
    expected = _expected(folder)
    if expected is None:
        return [CHECKSUMS]
    return [name for name, known in expected.items() if _checksum(folder / name) != known]


def is_whole(folder: Path, name: str) -> bool | None:
    """Return whether the file ``name`` in ``folder`` has its checksum, None where none is known."""
    known = (_expected(folder) or {}).get(name)
    return None if known is None else _checksum(folder / name) == known


def _expected(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))["crc32"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder to ``NAME.damaged``, which replaces an earlier one, and return the new path."""
    aside = path.with_name(path.name + ASIDE)
    with explain_write_errors(path):
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)
        path.rename(aside)
    return aside


def _checksum(path: Path) -> str:
    total = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total = zlib.crc32(block, total)
    except (OSError, ValueError):  # a damaged list may hold impossible names
        return ""
    return _hex(total)


def _hex(value: int) -> str:
    return f"{value:08x}"
