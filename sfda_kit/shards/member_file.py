"""A member of a shard that is used like a file: its bytes are read where they lie, and nothing is unpacked."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple


class Shard(NamedTuple):
    """A tar as it was when its index was made: absolute path, bytes, and time of writing."""

    path: str
    size: int
    changed: int


class MemberStatus(NamedTuple):
    """See ``stored.Status``: the size is that of the member, the rest that of its shard."""

    st_mode: int
    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class MemberFile:
    """The ``size`` bytes of ``shard`` from ``offset`` on. It is a ``stored.Stored``."""

    shard: Shard
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard.path}/{self.name}"

    @property
    def suffix(self) -> str:
        """The suffix of the member's name, with the dot."""
        return PurePosixPath(self.name).suffix

    def stat(self) -> MemberStatus:
        """Return the status of the member. Raises ``OSError`` where its shard is missing or has changed."""
        status = os.stat(self.shard.path)  # noqa: PTH116  # called per image: a path object would cost more
        self._refuse_another(status)
        return MemberStatus(status.st_mode, self.size, status.st_mtime_ns)

    def open(self, mode: Literal["rb"]) -> IO[bytes]:
        """Open the bytes of this member alone. Raises ``OSError`` as ``stat`` does."""
        file = Path(self.shard.path).open(mode, buffering=0)  # noqa: SIM115  # closing the section closes it
        try:
            self._refuse_another(os.fstat(file.fileno()))
        except OSError:
            file.close()
            raise
        return io.BufferedReader(_Section(file, self.offset, self.size))

    def _refuse_another(self, status: os.stat_result) -> None:
        """Raise ``OSError`` for another tar than the indexed one, where the offsets would lead to other bytes."""
        if (status.st_size, status.st_mtime_ns) != (self.shard.size, self.shard.changed):
            raise OSError(errno.EBUSY, "its shard changed after it was listed; start again when it is complete")


class _Section(io.RawIOBase):
    """A part of a file that is read like a whole file."""

    def __init__(self, file: io.FileIO, offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._place = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + place < 0:
            raise ValueError(f"there is no place {base + place}")
        self._place = base + place
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        left = max(self._size - self._place, 0)
        self._file.seek(self._offset + self._place)
        count = self._file.readinto(memoryview(buffer)[:left]) or 0
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
