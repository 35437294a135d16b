"""The place of the bytes of an image: a file, or a member of a container such as a tar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol


class Status(Protocol):
    """The part of ``os.stat_result`` that is used."""

    @property
    def st_mode(self) -> int:
        """File type and permissions."""

    @property
    def st_size(self) -> int:
        """Size of the image in bytes, not of its container."""

    @property
    def st_mtime_ns(self) -> int:
        """Time of the last change in nanoseconds since 1970."""


class Stored(Protocol):
    """A file as a ``pathlib.Path``, or a member of a tar. ``str`` of it is a path for messages."""

    @property
    def suffix(self) -> str:
        """Suffix of the name, with the dot."""

    def stat(self) -> Status:
        """Return the status. Raises ``OSError`` where the file is missing."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Open the bytes as a stream that supports ``seek``."""


@contextmanager
def source_of(file: Stored) -> Iterator[Path | IO[bytes]]:
    """Yield what libraries accept: the path itself if ``file`` is one, as they may map it, else the opened bytes."""
    if isinstance(file, Path):
        yield file
        return
    with file.open("rb") as opened:
        yield opened


def sha256_of(file: Stored) -> str:
    """Return the SHA-256 of all bytes as hex digits. Raises ``OSError`` where the file cannot be read."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
