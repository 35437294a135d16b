"""Archives that no packer wrote: each is refused for its own reason, and nothing is written anywhere."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sfda_kit.submissions import archive, layout

from .hostile import MANIFEST, Files, by_hand, entries, entry, manifest_of

pytestmark = pytest.mark.slow

Check = Callable[..., tuple[int, str]]
PNG = "pictures/curves.png"


def with_entry(files: Files, name: str, content: bytes = b"x", mode: int = 0o100644) -> bytes:
    """The archive and one more entry."""
    return by_hand([*entries(files), (entry(name, mode), content)])


NAMES = {
    "../evil": "the path leads out of the archive",
    "../../etc/cron.d/evil": "the path leads out of the archive",
    "RUN/../../record.json": "the path leads out of the archive",
    "/etc/passwd": "an absolute path",
    "C:/evil.json": "an absolute path",
    "\\\\server\\evil": "an absolute path",
    "RUN\\record.json": "the path holds a backslash",
    "RUN/": "a folder entry",
    "RUN/pictures/x\x1b[2J.png": "the name holds control characters",
    "RUN/pictures/x\x00.png": "the name holds control characters",
    "RUN/model/model.safetensors": "no file of this name belongs in an archive",
    "RUN/events.jsonl": "no file of this name belongs in an archive",
    "RUN/checkpoints/adapt.pt": "no file of this name belongs in an archive",
    "RUN/pictures/../record.json": "the path leads out of the archive",
    "RUN/pictures/a.svg": "no file of this name belongs in an archive",
    "RUN/pictures/" + "a" * 60 + ".png": "no file of this name belongs in an archive",
    "RUN/pictures/é.png": "no file of this name belongs in an archive",
    ".hidden/record.json": "no file of this name belongs in an archive",
    "con/record.json": "no file of this name belongs in an archive",
    "-rf/record.json": "no file of this name belongs in an archive",
    "x" * 260 + "/record.json": "the name is too long",
    "README.md": "no file of this name belongs in an archive",
}


@pytest.mark.parametrize("name", NAMES)
def test_names(files: Files, check: Check, tmp_path: Path, name: str):
    told = name.replace("RUN", files.run())
    info = entry("placeholder")
    info.filename = info.orig_filename = told  # past what zipfile would make of it
    code, output = check(by_hand([*entries(files), (info, b"{}")]))
    assert code == 1
    assert NAMES[name] in output and "refused (archive)" in output
    assert "\x1b" not in output and "\x00" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["handed-in.zip"]


def test_symbolic_link(files: Files, check: Check):
    link = files.path("pictures/link.png")
    code, output = check(with_entry(files, link, b"/etc/passwd", 0o120777))
    assert code == 1 and f"{link}: a symbolic link" in output


def test_device(files: Files, check: Check):
    code, output = check(with_entry(files, files.path("pictures/null.png"), b"", 0o020666))
    assert code == 1 and "not a plain file" in output


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_there_twice(files: Files, check: Check):
    code, output = check(with_entry(files, files.path("record.json"), b"{}"))
    assert code == 1 and "the name is there 2 times" in output


def test_names_that_differ_in_case_alone(files: Files, check: Check):
    run = files.run()
    code, output = check(with_entry(files, f"{run.upper()}/record.json", files[f"{run}/record.json"]))
    assert code == 1 and "differs from it in upper and lower case alone" in output


def test_too_many_entries(files: Files, check: Check):
    many = [(entry(f"{files.run()}/pictures/{k}.png", method=zipfile.ZIP_STORED), b"") for k in range(2001)]
    code, output = check(by_hand(many))
    assert code == 1 and "too many entries: 2001, at most 2000" in output


def test_too_many_runs(files: Files, check: Check):
    many = [(entry(f"run-{k}/record.json", method=zipfile.ZIP_STORED), b"{}") for k in range(layout.MAX_RUNS + 1)]
    code, output = check(by_hand(many))
    assert code == 1 and f"it holds {layout.MAX_RUNS + 1} runs" in output


def test_larger_than_any_archive(check: Check, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive, "MAX_ARCHIVE", 1000)
    code, output = check(b"P" * 1001)
    assert code == 1 and "the archive is larger than" in output


def test_bomb_that_says_so(files: Files, check: Check):
    code, output = check(with_entry(files, files.path("pictures/a.png"), b"\0" * 3_000_000))
    assert code == 1 and "a zip bomb" in output


def test_file_larger_than_its_kind_may_be(files: Files, check: Check):
    code, output = check(with_entry(files, files.path("pictures/a.png"), b"\0" * 5_000_000))
    assert code == 1 and f"at most {4 * 2**20} are read" in output


def test_bomb_that_lies_about_its_size(files: Files, check: Check):
    """Both headers say 100 bytes; the stream goes on for a gigabyte."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(machine.compress(b"\0" * 2**20) for _ in range(1024)) + machine.flush()
    name = files.path("pictures/a.png")
    data = _with_raw(files, name, packed, size=100, crc=zlib.crc32(b"\0" * 100))
    code, output = check(data)
    assert code == 1 and "unpacks to more than the 100 bytes that its header says: a zip bomb" in output


def test_total_of_all_files(files: Files, check: Check, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive, "MAX_TOTAL", 10_000)
    code, output = check(by_hand(entries(files)))
    assert code == 1 and "all files together unpack to more than" in output


def test_size_in_the_header_too_large(files: Files, check: Check):
    content = b"abc"
    data = _with_raw(files, files.path("pictures/a.png"), _deflated(content), size=50, crc=zlib.crc32(content))
    code, output = check(data)
    assert code == 1 and "it unpacks to 3 bytes, its header says 50" in output


def test_wrong_checksum(files: Files, check: Check):
    data = _with_raw(files, files.path("pictures/a.png"), _deflated(b"abc"), size=3, crc=1)
    code, output = check(data)
    assert code == 1 and "its checksum is wrong" in output


def test_bytes_behind_the_compressed_data(files: Files, check: Check):
    packed = _deflated(b"abc") + b"hidden"
    data = _with_raw(files, files.path("pictures/a.png"), packed, size=3, crc=zlib.crc32(b"abc"))
    code, output = check(data)
    assert code == 1 and "end too early or too late" in output


def test_compressed_data_that_are_none(files: Files, check: Check):
    code, output = check(_with_raw(files, files.path("pictures/a.png"), b"\xff" * 20, size=3, crc=1))
    assert code == 1 and f"{files.path('pictures/a.png')}: Error -3" in output


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(files: Files, check: Check, method: int):
    info = entry(files.path("pictures/a.png"), method=method)
    code, output = check(by_hand([*entries(files), (info, b"abc")]))
    assert code == 1 and ("other than deflate" in output or "has flags" in output)


def test_extra_fields_and_comments(files: Files, check: Check):
    for change in ({"comment": b"hello"}, {"extra": b"\xca\xfe\x00\x00"}):
        info = entry(files.path("pictures/a.png"))
        for name, value in change.items():
            setattr(info, name, value)
        code, output = check(by_hand([*entries(files), (info, b"abc")]))
        assert code == 1 and ("extra fields or a comment" in output or "contradict each other" in output)


def test_encrypted(files: Files, check: Check):
    data = bytearray(by_hand(entries(files)))
    directory = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[directory + 8] |= 1
    code, output = check(bytes(data))
    assert code == 1 and "the entry is encrypted" in output


HIDDEN = {
    "before": lambda data: b"#!/bin/sh\n" + data,
    "behind": lambda data: data + b"PK",
    "comment": lambda data: data[:-2] + b"\x05\x00hello",
    "cut off": lambda data: data[:-40],
    "empty": lambda data: b"",
    "no zip": lambda data: b"\x1f\x8b" + b"\0" * 100,
    "pickle": lambda data: b"cos\nsystem\n(S'touch evil'\ntR." + b"\0" * 30,
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_bytes_around_the_archive(files: Files, check: Check, tmp_path: Path, kind: str):
    code, output = check(HIDDEN[kind](by_hand(entries(files))))
    assert code == 1
    assert "Only archives that `sfda-kit leaderboard pack` has written are read" in output
    assert not (tmp_path / "evil").exists()


def test_bytes_between_entries(files: Files, check: Check):
    data = by_hand(entries(files))
    place = data.index(b"PK\x01\x02")
    end = bytearray(data[place:])
    struct.pack_into("<I", end, len(end) - 6, place + 4)
    code, output = check(data[:place] + b"evil" + bytes(end))
    assert code == 1 and "bytes are hidden between its entries and its directory" in output


def test_two_names_for_one_entry(files: Files, check: Check):
    data = bytearray(by_hand(entries(files)))
    name = files.path("record.json").encode()
    place = data.index(name)
    data[place : place + len(name)] = name[:-4] + b"yaml"
    code, output = check(bytes(data))
    assert code == 1 and "an entry has two names" in output


def test_headers_that_contradict_each_other(files: Files, check: Check):
    data = bytearray(by_hand(entries(files)))
    struct.pack_into("<I", data, 22, 7)  # size in the first local header
    code, output = check(bytes(data))
    assert code == 1 and "contradict each other" in output


def test_overlapping_entries(files: Files, check: Check):
    """Two entries of the directory share one place, which is how the densest bombs are made."""
    data = bytearray(by_hand(entries(files)))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    struct.pack_into("<I", data, second + 42, 0)
    code, output = check(bytes(data))
    assert code == 1 and "overlap" in output


def test_counts_that_differ(files: Files, check: Check):
    data = bytearray(by_hand(entries(files)))
    struct.pack_into("<HH", data, len(data) - 14, 1, 1)
    code, output = check(bytes(data))
    assert code == 1 and "its end counts 1 entries" in output


def test_an_archive_without_runs(check: Check, files: Files):
    empty = Files({MANIFEST: files[MANIFEST]})
    code, output = check(by_hand([(entry(MANIFEST), manifest_of(empty))]))
    assert code == 1 and "it holds no run" in output


def _deflated(content: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(content) + machine.flush()


def _with_raw(files: Files, name: str, packed: bytes, size: int, crc: int) -> bytes:
    """The archive with a last entry whose compressed data and headers are as given."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for info, content in entries(files):
            made.writestr(info, content)
        info = entry(name, method=zipfile.ZIP_STORED)
        made.writestr(info, packed)
        listed = made.infolist()[-1]
        listed.compress_type, listed.file_size, listed.CRC = zipfile.ZIP_DEFLATED, size, crc
        place = listed.header_offset
    data = bytearray(stream.getvalue())
    struct.pack_into("<H", data, place + 8, zipfile.ZIP_DEFLATED)
    struct.pack_into("<I", data, place + 14, crc)
    struct.pack_into("<I", data, place + 22, size)
    return bytes(data)
