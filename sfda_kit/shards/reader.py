"""Finding the bytes of a member by its path (``front/train-000.tar/000123.rgb.jpg``) among millions of members."""

from __future__ import annotations

import hashlib
import os
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.decode_cache import FileReader
from sfda_kit.data.stored import Stored
from sfda_kit.errors import DataError
from sfda_kit.shards.member_file import MemberFile, Shard


@dataclass(frozen=True)
class Places:
    """Columns sorted by ``hashes`` of paths relative to ``root``: a member takes 28 bytes, in a dictionary 200."""

    root: Path
    shards: tuple[Shard, ...]
    hashes: NDArray[np.uint64]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def find(self, path: Path) -> MemberFile | None:
        """Return the member at ``path``, None where there is none."""
        text, above = str(path), f"{self.root}{os.sep}"  # pathlib takes several times as long
        if not text.startswith(above):
            return None
        wanted = _hash(text[len(above) :].replace(os.sep, "/"))
        row = int(np.searchsorted(self.hashes, wanted))
        if row == len(self.hashes) or self.hashes[row] != wanted:
            return None
        shard = self.shards[self.shard[row]]
        name = text[len(shard.path) + 1 :].replace(os.sep, "/")
        return MemberFile(shard, name, int(self.offset[row]), int(self.size[row]))


class PlaceList:
    """The places of members, collected shard by shard."""

    def __init__(self, root: Path) -> None:
        self.root, self.shards = root, list[Shard]()
        self._hashes, self._shard, self._offset, self._size = array("Q"), array("i"), array("q"), array("q")

    def begin(self, shard: str) -> None:
        """Begin a shard, given relative to the root: members that are added from now on lie in it."""
        path = self.root / shard
        size = changed = -1
        with suppress(OSError):  # reading the shard reports that it is missing
            status = path.stat()
            size, changed = status.st_size, status.st_mtime_ns
        self.shards.append(Shard(str(path), size, changed))

    def add(self, path: str, offset: int, size: int) -> None:
        """Add a member. ``path`` is relative to the root: that of the shard, then the member's name."""
        self._hashes.append(int(_hash(path)))
        self._shard.append(len(self.shards) - 1)
        self._offset.append(offset)
        self._size.append(size)

    def sorted(self) -> Places:
        """Return the sorted places. Raises ``DataError`` if two paths have one hash (1 in 300,000 for ten million)."""
        hashes = np.frombuffer(self._hashes, np.uint64)
        order = np.argsort(hashes)
        if (hashes[order][1:] == hashes[order][:-1]).any():
            raise DataError(f"{self.root}: two members have names of one hash. Rename the shards.")
        shard = np.frombuffer(self._shard, np.int32)[order]
        offset, size = (np.frombuffer(column, np.int64)[order] for column in (self._offset, self._size))
        return Places(self.root, tuple(self.shards), hashes[order], shard, offset, size)


@dataclass(frozen=True)
class ShardReader(FileReader):
    """Reads one picture per member. A path that lies in no shard is read as a file."""

    places: Places | None = field(default=None, repr=False, compare=False)

    def stored(self, path: Path) -> Stored:
        """Return the member at ``path``, or ``path`` itself (see ``FileReader``)."""
        return (self.places.find(path) if self.places else None) or path


def _hash(path: str) -> np.uint64:
    hashed: np.uint64 = np.uint64(int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little"))
    return hashed
