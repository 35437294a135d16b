"""Reads a zip archive that may be hostile: every size is limited, nothing is written, no header is trusted."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections import Counter

from sfda_kit.submissions.findings import ArchiveFindings
from sfda_kit.submissions.layout import (
    KIB,
    MANIFEST,
    MAX_ARCHIVE,
    MAX_ENTRIES,
    MAX_RATIO,
    MAX_RUNS,
    MAX_TOTAL,
    MIB,
    size_limit,
    split_name,
)

END = struct.Struct("<4sHHHHIIH")
LOCAL = struct.Struct("<4sHHHHHIIIHH")
OTHER_TOOL = "Only archives that `sfda-kit leaderboard pack` has written are read."


class _HostileError(ValueError):
    """One entry or the whole archive cannot be accepted; the message says why."""


def read_archive(data: bytes, findings: ArchiveFindings) -> dict[str, bytes]:
    """Return the acceptable entries' contents by name, and add the reasons against the others to ``findings``.

    ``data``: the whole file. The contents take less than ``MAX_TOTAL`` bytes of memory beside it.
    """
    try:
        entries = _directory(data)
    except (_HostileError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
        findings.refuse("archive", "", f"{error}. {OTHER_TOOL}")
        return {}
    findings.count("archive", len(entries))
    bad = _check_names(entries, findings)
    _check_whole(entries, findings)
    total, contents = 0, {}
    for info in entries:
        name = info.orig_filename
        if name in bad:
            continue
        try:
            _check_entry(info)
            total += info.file_size
            if total > MAX_TOTAL:
                raise _HostileError(f"all files together unpack to more than {MAX_TOTAL // MIB} MiB")
            contents[name] = _content(data, info)
        except (_HostileError, zlib.error, struct.error) as error:
            findings.refuse("archive", name, str(error))
    return contents


def _directory(data: bytes) -> list[zipfile.ZipInfo]:
    """Return the entries of the central directory after a check that its size is harmless."""
    if len(data) > MAX_ARCHIVE:
        raise _HostileError(f"the archive is larger than {MAX_ARCHIVE // MIB} MiB; hand the runs in in parts")
    if len(data) < END.size:
        raise _HostileError("this is not a zip archive")
    mark, disk, first_disk, here, count, size, offset, comment = END.unpack(data[-END.size :])
    if mark != b"PK\x05\x06" or comment or disk or first_disk or here != count:
        raise _HostileError("this is not a plain zip archive (another format, a comment, or several parts)")
    if count > MAX_ENTRIES:
        raise _HostileError(f"the archive has too many entries: {count}, at most {MAX_ENTRIES} are read")
    if size > MAX_ENTRIES * 300 or offset + size + END.size != len(data):
        raise _HostileError("its directory does not lie where its end says: there are hidden or missing bytes")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    if len(entries) != count:
        raise _HostileError(f"its end counts {count} entries, its directory holds {len(entries)}")
    _check_places(data, entries, offset)
    return entries


def _check_places(data: bytes, entries: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries with a gap or an overlap between them, or with a local header that says something else."""
    place = 0
    for info in sorted(entries, key=lambda entry: entry.header_offset):
        if info.header_offset != place or place + LOCAL.size > end:
            raise _HostileError("its entries overlap, or bytes are hidden between them")
        mark, _, flags, method, _, _, crc, packed, size, name, extra = LOCAL.unpack_from(data, place)
        place += LOCAL.size + name + extra
        said = (info.flag_bits, info.compress_type, info.CRC, info.compress_size, info.file_size)
        raw_name = data[place - name - extra : place - extra]
        if mark != b"PK\x03\x04" or extra or (flags, method, crc, packed, size) != said:
            raise _HostileError("the headers of an entry contradict each other")
        if raw_name != info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437"):
            raise _HostileError("an entry has two names")
        place += packed
    if place != end:
        raise _HostileError("bytes are hidden between its entries and its directory")


def _check_names(entries: list[zipfile.ZipInfo], findings: ArchiveFindings) -> set[str]:
    """Return the names that are refused: not allowed, there twice, or different from another in case alone."""
    names = [info.orig_filename for info in entries]
    bad: set[str] = set()
    for name, count in Counter(names).items():
        if reason := _name_problem(name):
            findings.refuse("archive", name, reason)
            bad.add(name)
        if count > 1:
            findings.refuse("archive", name, f"the name is there {count} times")
            bad.add(name)
    folded = Counter(name.casefold() for name in set(names))
    for name in sorted(set(names)):
        if folded[name.casefold()] > 1:
            findings.refuse("archive", name, "another name differs from it in upper and lower case alone")
            bad.add(name)
    return bad


def _name_problem(name: str) -> str:
    """Return the most telling reason to refuse an entry of this name; it is empty where the name is allowed."""
    parts = name.replace("\\", "/").split("/")
    rules = {
        "the name holds control characters": any(ord(character) < 32 or ord(character) == 127 for character in name),
        "an absolute path": name.startswith(("/", "\\")) or name[1:2] == ":",
        "the path leads out of the archive": ".." in parts,
        "the path holds a backslash": "\\" in name,
        "a folder entry": name.endswith("/"),
        "the name is too long": len(name) > 250,
        "no file of this name belongs in an archive": name != MANIFEST and split_name(name) is None,
    }
    return next((reason for reason, broken in rules.items() if broken), "")


def _check_whole(entries: list[zipfile.ZipInfo], findings: ArchiveFindings) -> None:
    runs = {info.orig_filename.partition("/")[0] for info in entries if "/" in info.orig_filename}
    if len(runs) > MAX_RUNS:
        findings.refuse("archive", "", f"it holds {len(runs)} runs, at most {MAX_RUNS} are taken at once")


def _check_entry(info: zipfile.ZipInfo) -> None:
    kind = info.external_attr >> 16
    if stat.S_ISLNK(kind):
        raise _HostileError("a symbolic link")
    if kind and not stat.S_ISREG(kind):
        raise _HostileError("not a plain file")
    if info.flag_bits & 1:
        raise _HostileError("the entry is encrypted")
    if info.flag_bits or info.extra or info.comment:
        raise _HostileError(f"the entry has flags, extra fields or a comment. {OTHER_TOOL}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _HostileError("the entry is compressed in a way other than deflate")
    limit = size_limit(info.orig_filename)
    if info.file_size > limit:
        raise _HostileError(f"it says it unpacks to {info.file_size} bytes, at most {limit} are read")
    if info.file_size > 64 * KIB and info.file_size > MAX_RATIO * info.compress_size:
        raise _HostileError(f"it unpacks to more than {MAX_RATIO} times its size: a zip bomb")


def _content(data: bytes, info: zipfile.ZipInfo) -> bytes:
    """Return the unpacked bytes, never more than the entry says; ``_check_entry`` has limited that number."""
    start = info.header_offset + LOCAL.size + len(info.orig_filename)
    packed = data[start : start + info.compress_size]
    content = packed if info.compress_type == zipfile.ZIP_STORED else _inflate(packed, info.file_size)
    if len(content) != info.file_size:
        raise _HostileError(f"it unpacks to {len(content)} bytes, its header says {info.file_size}")
    if zlib.crc32(content) != info.CRC:
        raise _HostileError("its checksum is wrong: the archive is damaged")
    return content


def _inflate(packed: bytes, size: int) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    content = machine.decompress(packed, size + 1)
    if len(content) > size:
        raise _HostileError(f"it unpacks to more than the {size} bytes that its header says: a zip bomb")
    if not machine.eof or machine.unused_data:
        raise _HostileError("its compressed data end too early or too late")
    return content
