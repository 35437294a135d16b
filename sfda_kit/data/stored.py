"""Where the bytes of an image lie: a file, or what stands for one within a container."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol


class Status(Protocol):
    """What is asked of ``os.stat_result``."""

    @property
    def st_mode(self) -> int:
        """Kind and rights."""

    @property
    def st_size(self) -> int:
        """Bytes of the image, not of its container."""

    @property
    def st_mtime_ns(self) -> int:
        """When it was written last."""


class Stored(Protocol):
    """A file, as ``pathlib.Path`` has it, or a member of a tar. Its text is a path that messages name."""

    @property
    def suffix(self) -> str:
        """Of its name, with the dot."""

    def stat(self) -> Status:
        """Raises ``OSError`` where it is not there."""

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Its bytes, in which one can ``seek``."""


@contextmanager
def source_of(file: Stored) -> Iterator[Path | IO[bytes]]:
    """What libraries take: the path itself where there is one, as they may map it, else the opened bytes."""
    if isinstance(file, Path):
        yield file
        return
    with file.open("rb") as opened:
        yield opened


def sha256_of(file: Stored) -> str:
    """Hex digest of all its bytes. Raises ``OSError`` where it cannot be read."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
