"""The members of one tar, read header by header; each is checked before its place is used."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

_BLOCK = 512
_LARGEST_READ = 1 << 20
"""The most bytes of one read, enough for any header, name or label: a damaged length must not lead to gigabytes."""
_MAGICS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_COPY = "Copy the shard again from where it came."


class TarMember(NamedTuple):
    """A regular file within a tar: ``size`` bytes from ``offset`` on."""

    name: str
    offset: int
    size: int


class TarBytes(io.BufferedReader):
    """A tar that is never read in large pieces."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes. Raises ``tarfile.ReadError`` for more than a header can be."""
        if size is None or not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return super().read(size)


def compression(start: bytes) -> str:
    """Return the program that compressed a file with this start, empty for none that is known."""
    return next((name for magic, name in _MAGICS.items() if start.startswith(magic)), "")


def members(file: TarBytes, length: int, damage: list[str]) -> Iterator[TarMember]:
    """Yield regular files of a tar of ``length`` bytes in order; add a sentence to ``damage`` for all that is wrong.

    The search ends at a damaged place, since the following members cannot be located.
    """
    end = 0
    try:
        start = file.read(_BLOCK)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            # Some versions of tarfile seek before the beginning of a tar without members.
            while any(start) and (found := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if found.size < 0 or tar.offset <= end:
                    damage.append(f"is damaged at byte {end:,} (a header leads backwards). {_COPY}")
                    return
                end = tar.offset
                if why := _unusable(found):
                    damage.append(f"{_shown(found.name)} {why}")
                elif found.offset_data + found.size > length:
                    there = max(length - found.offset_data, 0)
                    damage.append(f"{_shown(found.name)} is cut short: {there:,} of {found.size:,} bytes. {_COPY}")
                    return
                elif found.isreg():
                    yield TarMember(_plain(found.name), found.offset_data, found.size)
        if why := _wrong_end(file, end, length):
            damage.append(why)
    except OSError:
        raise
    except Exception as error:
        # Broken headers make tarfile raise many kinds of errors: TarError, ValueError, RecursionError ...
        damage.append(f"is damaged at byte {end:,} ({(str(error).splitlines() or [''])[0][:120]}). {_COPY}")


def _unusable(found: tarfile.TarInfo) -> str:
    if not found.name.isprintable():
        return "has a name that is not UTF-8 or does not print. Rename it and write the shard again."
    if found.name.startswith("/") or ".." in found.name.split("/"):
        return "has a name that leads out of the shard. Write the shard again with plain names."
    if found.issym() or found.islnk():
        return "is a link, which is never followed. Write the shard with the files (tar -h --hard-dereference)."
    if not found.isreg() and not found.isdir():
        return "is no regular file. Write the shard without it."
    if found.issparse():
        return "is stored with holes. Write the shard without --sparse."
    return ""


def _wrong_end(file: TarBytes, end: int, length: int) -> str:
    """Return what is wrong at the end: ``tarfile`` ends at all that is no header, but only zero blocks end a tar."""
    file.seek(end)
    rest = file.read(min(_LARGEST_READ, max(length - end, 0)))
    if not rest:
        return f"stops at byte {end:,} without the mark that ends a tar (its writer or a copy was stopped). {_COPY}"
    if any(rest[:_BLOCK]) or len(rest) < _BLOCK:
        return f"is damaged at byte {end:,} (no header of a member is there). {_COPY}"
    if any(rest):
        return f"goes on after the mark that ends a tar, at byte {end:,}. Were tars joined with cat? Keep them apart."
    return ""


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _plain(name: str) -> str:
    """Return the name without the ``./`` that ``tar cf x.tar .`` writes, since paths drop it too."""
    return PurePosixPath(name).as_posix() if name.startswith("./") or "//" in name or "/./" in name else name
