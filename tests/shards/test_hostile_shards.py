"""Shards that are broken, or made to harm: each is told with shard and member, none is followed or unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.config.models import DatasetConfig
from sfda_kit.errors import DataError
from sfda_kit.shards.dataset import WebDataset
from sfda_kit.shards.shard_index import scan_shard
from sfda_kit.verify.dataset import Request, verify

from .shards import sample, special, write_tar

SENSORS = {"source": "rgb@cam", "target": "depth@cam"}
GOOD = sample("good", 99)


def config(root: Path, **changes: Any) -> DatasetConfig:
    return DatasetConfig(name="webdataset", root=root, **{**SENSORS, **changes})


def refused(root: Path, expected: str, left: int = 1, **changes: Any) -> None:
    """A run stops at it; ``--skip-bad`` goes on with ``left`` samples; verification tells shard, member and remedy."""
    with pytest.raises(DataError, match=expected) as error:
        WebDataset(config(root, **changes)).index()
    assert "--skip-bad" in str(error.value)
    index = WebDataset(config(root, skip_bad=True, **changes)).index()
    assert len(index.names) == left and any(notice.startswith("left out: ") for notice in index.notices)
    report = verify(Request(config(root, tr_classes=("cat", "dog"), **changes), deep=False))
    skippable = [one for one in report.findings if one.code in ("unusable-file", "incomplete-sample")]
    assert report.errors and skippable and report.left_out
    assert any(one.path.endswith((".tar", ".tar.gz", ".tgz")) for one in skippable)
    assert all(one.what and (one.remedy or one.rule.remedy) for one in skippable)
    # Nothing else is wrong with the set: without these samples a run could begin.
    assert verify(Request(config(root, tr_classes=("cat",), **changes), deep=False, skip_bad=True)).errors <= 1


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with one good shard of one sample."""
    write_tar(tmp_path / "set" / "good.tar", GOOD)
    return tmp_path / "set"


def without(ending: str) -> dict[str, bytes]:
    return {name: data for name, data in sample("k").items() if not name.endswith(ending)}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (without("depth.png"), r"bad.tar: k has no depth half. Add k.depth with its suffix, or a role"),
        (without("rgb.png"), r"bad.tar: k has no rgb half"),
        (without("json"), r"bad.tar: k has no class. Write it into k.json or k.cls"),
        (without(".png"), r"bad.tar: k has no image. Name images as k.rgb.jpg or k.depth.png"),
        ({**sample("k"), "k.json": b"{"}, r"bad.tar: k cannot be used: k.json cannot be read \(.*\). Write UTF-8 JSON"),
        ({**sample("k"), "k.json": b"\xff\xfe"}, r"k.json cannot be read"),
        ({**sample("k"), "k.json": b"[" * 100_000}, r"k.json cannot be read"),
        ({**sample("k"), "k.json": b'["cat"]'}, r"k.json holds a list. Write JSON such as"),
        (sample("k", **{"class": ["cat"]}), r"k.json has a list as class. Write a text or a whole number"),
        (sample("k", **{"class": 1.5}), r"k.json has a number as class"),
        (sample("k", **{"class": True}), r"k.json has true or false as class"),
        (sample("k", **{"class": "c\x1b[31mat"}), r"k.json has characters that do not print in its class"),
        (sample("k", role="train"), r"k.json has the unknown role 'train'. Write one of source, target-train"),
        ({**sample("k"), "k.json": b" " * (1 << 20) + b"{}"}, r"k.json holds 1,048,578 bytes, too many for labels"),
        ({**sample("k"), "k.rgb.jpg": b"x"}, r"bad.tar: k has k.rgb.png and k.rgb.jpg as rgb. Keep one"),
        ({**sample("k"), "k.png": b"x"}, r"bad.tar: k has k.png and another image as rgb. Keep one"),
        (
            special("k.rgb.png", tarfile.SYMTYPE, "/etc/passwd"),
            r"bad.tar: k.rgb.png is a link, which is never followed",
        ),
        (special("k.rgb.png", tarfile.LNKTYPE, "other.png"), r"bad.tar: k.rgb.png is a link, which is never followed"),
        (special("k.rgb.png", tarfile.CHRTYPE), r"bad.tar: k.rgb.png is no regular file. Write the shard without it"),
        (special("k.rgb.png", tarfile.FIFOTYPE), r"bad.tar: k.rgb.png is no regular file"),
        ({"../k.rgb.png": b"x"}, r"bad.tar: ../k.rgb.png has a name that leads out of the shard"),
        ({"a/../../k.rgb.png": b"x"}, r"has a name that leads out of the shard"),
        ({"/etc/k.rgb.png": b"x"}, r"bad.tar: /etc/k.rgb.png has a name that leads out of the shard"),
        ({"k\x1b[2J.rgb.png": b"x"}, r"bad.tar: 'k\\x1b\[2J.rgb.png' has a name that is not UTF-8 or does not print"),
        ({"k\udcff.rgb.png": b"x"}, r"has a name that is not UTF-8 or does not print"),
    ],
)
def test_members_and_samples_that_cannot_be_used(root, members, expected):
    write_tar(root / "bad.tar", members)
    refused(root, expected)


def test_a_key_that_comes_back_in_its_shard(root):
    parts = list(sample("k").items())
    write_tar(root / "bad.tar", dict([*parts[:2], *sample("l").items(), *parts[2:]]))
    refused(root, r"bad.tar: k occurs twice. Files of one sample have to lie next to each other", left=2)


def test_a_key_in_two_shards(root):
    write_tar(root / "bad.tar", {**sample("good"), **sample("k")})
    refused(root, r"good.tar: good is a key of bad.tar too. Give each sample of domain cam a key of its own", left=2)


def test_a_member_that_is_there_twice(root):
    write_tar(root / "bad.tar", sample("k"))
    write_tar(root / "bad.tar", {"k.rgb.png": b"other"}, "a")
    refused(root, r"bad.tar: k has k.rgb.png and k.rgb.png as rgb. Keep one")


def test_a_class_that_the_list_has_not(root):
    (root.parent / "classes.txt").write_text("cat\ndog\n")
    options = {"classes": str(root.parent / "classes.txt")}
    write_tar(root / "bad.tar", sample("k", **{"class": "dgo"}))
    refused(root, r"bad.tar: k has the unknown class 'dgo'. Did you mean 'dog'", options=options)
    write_tar(root / "bad.tar", sample("k", **{"class": 2}))
    refused(root, r"bad.tar: k has the unknown class '2'. Known: cat, dog. .* a number from 0 to 1", options=options)


@pytest.mark.parametrize(
    ("text", "expected"), [("", "names no class"), ("cat\ncat\n", "names cat twice"), (None, "cannot be read")]
)
def test_class_lists_that_cannot_be_used(root, text, expected):
    path = root.parent / "classes.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=f"dataset.options.classes .*{expected}"):
        WebDataset(config(root, options={"classes": str(path)})).index()


def whole(root: Path) -> bytes:
    return write_tar(root.parent / "whole.tar", {**sample("a", 1), **sample("b", 2)}).read_bytes()


def end_of(data: bytes, name: str) -> int:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        info = tar.getmember(name)
    return info.offset_data + info.size


Breaking = Callable[[bytes], bytes]
BROKEN: dict[str, tuple[Breaking, str, int]] = {
    "in the middle of a member": (
        lambda data: data[: end_of(data, "b.rgb.png") - 100],
        r"bad.tar: b.rgb.png is cut short: [\d,]+ of [\d,]+ bytes. Copy the shard again",
        2,
    ),
    "in the middle of a header": (
        lambda data: data[: data.index(b"b.json") + 300],
        r"bad.tar: is damaged at byte [\d,]+",
        2,
    ),
    "before the end": (
        lambda data: data[: -(-end_of(data, "b.rgb.png") // 512) * 512],
        r"bad.tar: stops at byte [\d,]+ without the mark that ends a tar",
        3,
    ),
    "a header of other bytes": (
        lambda data: data.replace(b"b.json\0", b"\xaa.json\0"),
        r"bad.tar: is damaged at byte [\d,]+ \(no header of a member is there\)",
        2,
    ),
    "two tars joined": (
        lambda data: data + data,
        r"bad.tar: goes on after the mark that ends a tar, at byte [\d,]+. Were tars joined with cat",
        3,
    ),
    "compressed under its name": (gzip.compress, r"bad.tar: is compressed \(gzip\). Nothing within can be read", 1),
    "no tar at all": (lambda data: b"hello " * 1000, r"bad.tar: is damaged at byte 0", 1),
    "zero bytes": (lambda data: b"", r"bad.tar: is empty \(zero bytes\). Copy the shard again", 1),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_shards(root, how):
    breaking, expected, left = BROKEN[how]
    (root / "bad.tar").write_bytes(breaking(whole(root)))
    refused(root, expected, left)


@pytest.mark.parametrize("name", ["bad.tar.gz", "sub/bad.tgz", "bad.tar.zst"])
def test_compressed_shards_say_what_to_do(root, name):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(gzip.compress(whole(root)))
    with pytest.raises(DataError, match=rf"{name}: is compressed. Nothing within can be read at random; unpack it"):
        WebDataset(config(root)).index()
    assert len(WebDataset(config(root, skip_bad=True)).index().names) == 1


def test_a_shard_that_a_pattern_names_and_that_is_not_there(root):
    options = {"shards": "{good,b-{0..1}}.tar"}
    write_tar(root / "b-0.tar", sample("b"))
    with pytest.raises(DataError, match=r"b-1.tar: is named by dataset.options.shards and not there. Copy it again"):
        WebDataset(config(root, options=options)).index()
    assert len(WebDataset(config(root, options=options, skip_bad=True)).index().names) == 2


def test_no_shard_and_no_sample(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holds no shard \*.tar; found photo.png. Point --data-root"):
        WebDataset(config(tmp_path)).index()
    (tmp_path / "only.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"holds no shard(.|\n)*only.tar.gz: is compressed"):
        WebDataset(config(tmp_path)).index()
    write_tar(tmp_path / "other.tar", {"README": b"x", "k.txt": b"x"})
    with pytest.raises(DataError, match="its shards hold no image with a class"):
        WebDataset(config(tmp_path, skip_bad=True)).index()


def test_what_is_passed_over_is_told(root):
    more = {"README": b"x", "__meta__.json": b"{}", "._k.rgb.png": b"x", "k.txt": b"a caption", "k.rgb.exr": b"x"}
    write_tar(root / "more.tar", {**more, **sample("k")})
    write_tar(root / "empty.tar", {})
    write_tar(root / "folders.tar", special("a", tarfile.DIRTYPE))
    dataset = WebDataset(config(root))
    assert len(dataset.index().names) == 2
    told = "\n".join(dataset.index().notices)
    assert "(no ending) 2" in told and "json 1" in told and "txt 1" in told and "rgb.exr 1" in told
    assert "2 shards hold no file, such as empty.tar" in told


def test_a_shard_that_cannot_be_opened(root):
    (root / "gone.tar").symlink_to(root / "nowhere.tar")
    with pytest.raises(DataError, match=r"gone.tar: cannot be opened \(No such file or directory\)"):
        WebDataset(config(root)).index()


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with a valid checksum, whatever else it says."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (header(b"a.rgb.png", b"77777777777"), "a.rgb.png is cut short: .* of 8,589,934,591 bytes"),
        (header(b"a.rgb.png", b"\xff" * 12), "is damaged at byte 0"),
        (header(b"x", b"00010000000", b"x"), "is damaged at byte 0 .*a header claims 2097152 bytes"),
        (header(b"L", b"00000000005", b"L") * 3000, "is damaged at byte 0"),
    ],
    ids=["a length beyond the end", "a negative length", "a header of megabytes", "long names without end"],
)
def test_lengths_that_lie(root, data, expected):
    (root / "bad.tar").write_bytes(data + bytes(1024))
    refused(root, rf"bad.tar: {expected}")


def test_a_header_that_leads_backwards(root, monkeypatch):
    """As a negative length does where ``tarfile`` lets it pass."""
    real = tarfile.TarFile.next

    def back(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        found = real(self)
        if found is not None and found.name == "b.json":
            self.offset = 0  # type: ignore[attr-defined]
        return found

    (root / "bad.tar").write_bytes(whole(root))
    monkeypatch.setattr(tarfile.TarFile, "next", back)
    assert (
        scan_shard(root / "bad.tar")
        .damage[0]
        .endswith("(a header leads backwards). Copy the shard again from where it came.")
    )


def test_nothing_is_unpacked(root, tmp_path, monkeypatch):
    for name in ("extract", "extractall", "extractfile"):
        monkeypatch.setattr(tarfile.TarFile, name, lambda *_: pytest.fail("a member was unpacked"))
    before = sorted(path for path in tmp_path.rglob("*"))
    dataset = WebDataset(config(root))
    dataset.peek(np.array([0]), "rgb", 8)
    dataset.bad_rows(("depth",))
    made = [path for path in tmp_path.rglob("*") if path not in before and "cache" not in path.parts]
    assert not made


@given(place=st.integers(0, 5000), value=st.integers(0, 255), cut=st.integers(0, 9000))
def test_any_changed_byte_and_any_cut_is_survived(tmp_path_factory, place, value, cut):
    folder = tmp_path_factory.mktemp("any")
    data = bytearray(write_tar(folder / "a.tar", {**sample("a"), **sample("b", 3)}).read_bytes())
    data[place] = value
    (folder / "a.tar").write_bytes(data[: len(data) - cut])
    index = scan_shard(folder / "a.tar")
    length = len(data) - cut
    held = [member for one in index.samples for member in one.images.values()]
    assert all(0 < member.offset <= member.offset + member.size <= length for member in held)


def test_every_cut_short_of_the_end_is_told(tmp_path):
    path = write_tar(tmp_path / "a.tar", {**sample("a"), **sample("b", 3)})
    data = path.read_bytes()
    last = end_of(data, "b.rgb.png")
    for length in range(1, last, 97):
        path.write_bytes(data[:length])
        assert scan_shard(path).damage, length


def test_images_that_do_not_decode_are_told_with_shard_and_member(root):
    bad = sample("k", 5)
    bad["k.depth.png"] = bad["k.depth.png"][:60]
    bad["l.json"], bad["l.rgb.png"], bad["l.depth.png"] = bad["k.json"], bad["k.rgb.png"], b""
    write_tar(root / "bad.tar", bad)
    dataset = WebDataset(config(root))
    with pytest.raises(DataError, match=r"bad.tar/k.depth.png \(depth\) is truncated or damaged") as error:
        dataset.read(np.arange(3), "depth", 8)
    assert "bad.tar/l.depth.png (depth) is empty (zero bytes)" in str(error.value)
    assert list(WebDataset(config(root, skip_bad=True)).bad_rows(("rgb", "depth"))) == [0, 1]
    report = verify(Request(config(root, tr_classes=("cat",)), deep=True))
    found = {one.path: one.code for one in report.findings if one.rule.severity == "error"}
    assert found["bad.tar/k.depth.png"] == "unusable-file" and found["bad.tar/l.depth.png"] == "empty-file"
