"""Hostile trees of pairs: each is told with its path and what to do, in the report and on the terminal."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from .conftest import scene, write_pair

pytestmark = pytest.mark.slow

RGB, DEPTH = "cam/rgb/bar/bar0.png", "cam/depth/bar/bar0.png"

Broken = Callable[[Path], str]
"""Breaks a clean tree; returns the path that has to be named."""


def truncated(path: str, suffix: str = ".png", keep: float = 0.5) -> Broken:
    def breaks(root: Path) -> str:
        old = root / path
        new = old.with_suffix(suffix)
        pixels = np.asarray(Image.open(old))
        old.unlink()
        Image.fromarray(pixels).save(new)
        new.write_bytes(new.read_bytes()[: int(new.stat().st_size * keep)])
        return new.relative_to(root).as_posix()

    return breaks


def content(path: str, data: bytes, suffix: str = ".png") -> Broken:
    def breaks(root: Path) -> str:
        (root / path).unlink()
        new = (root / path).with_suffix(suffix)
        new.write_bytes(data)
        return new.relative_to(root).as_posix()

    return breaks


def pixels(path: str, values: np.ndarray, suffix: str = ".png", **options: object) -> Broken:
    def breaks(root: Path) -> str:
        (root / path).unlink()
        new = (root / path).with_suffix(suffix)
        if suffix == ".npy":
            np.save(new, values)
        elif suffix == ".tif":
            tifffile.imwrite(new, values)
        else:
            Image.fromarray(values).save(new, **options)
        return new.relative_to(root).as_posix()

    return breaks


def png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def floats(share: float = 0.1, value: float = np.nan, scale: float = 1000.0) -> np.ndarray:
    depth = np.linspace(1, 4, 24 * 32, dtype=np.float32).reshape(24, 32) * np.float32(scale)
    depth[: int(24 * share)] = value
    return depth


def link(path: str, to: str | Path, code_path: str = "") -> Broken:
    def breaks(root: Path) -> str:
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(to)
        return code_path or path

    return breaks


def link_out(root: Path) -> str:
    elsewhere = root.parent / "elsewhere.png"
    shutil.move(root / RGB, elsewhere)
    (root / RGB).symlink_to(elsewhere)
    return RGB


def folder_instead(root: Path) -> str:
    (root / RGB).unlink()
    (root / RGB).mkdir()
    return RGB


def pipe(root: Path) -> str:
    (root / RGB).unlink()
    os.mkfifo(root / RGB)
    return RGB


def listening(root: Path) -> str:
    (root / RGB).unlink()
    before = Path.cwd()
    os.chdir((root / RGB).parent)  # names of sockets have to be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("bar0.png")
    os.chdir(before)
    return RGB


def named(name: str) -> Broken:
    def breaks(root: Path) -> str:
        write_pair(root, name, 900)
        return f"cam/rgb/bar/{name}.png"

    return breaks


def not_utf8(root: Path) -> str:
    name = os.fsdecode(b"cam/rgb/bar/caf\xe9.png")
    shutil.copy(root / RGB, root / name)
    return name


def two_cases(root: Path) -> str:
    write_pair(root, "BAR0", 901)
    return RGB


def two_accents(root: Path) -> str:
    for name in ("caf\u00e9", "cafe\u0301"):
        (root / "cam/notes" / name).mkdir(parents=True)
    return "cam/notes/caf\u00e9"


def one_stem_twice(root: Path) -> str:
    shutil.copy(root / RGB, root / "cam/rgb/bar/bar0.tif")
    return "cam/rgb/bar"


def missing_half(root: Path) -> str:
    (root / DEPTH).unlink()
    return RGB


def swapped(root: Path) -> str:
    for name in (RGB, DEPTH):
        (root / name).rename(root / f"{name}.aside")
    (root / f"{RGB}.aside").rename(root / DEPTH)
    (root / f"{DEPTH}.aside").rename(root / RGB)
    return RGB


def empty_class(root: Path) -> str:
    for modality in ("rgb", "depth"):
        (root / "cam" / modality / "ring").mkdir()
    return "cam/depth/ring"


def copied(source: str, to: str) -> Broken:
    """One picture as another sample's too; its other half stays."""

    def breaks(root: Path) -> str:
        shutil.copy(root / source, root / to)
        return to

    return breaks


def copied_everywhere(root: Path) -> str:
    for number in range(1, 4):
        shutil.copy(root / RGB, root / f"cam/rgb/bar/bar{number}.png")
    return "cam/rgb/bar/bar"


def saved_again(root: Path) -> str:
    for number in range(1, 4):
        Image.open(root / RGB).save(root / f"cam/rgb/bar/bar{number}.jpg", quality=90 + number)
        (root / f"cam/rgb/bar/bar{number}.png").unlink()
    return "cam/rgb/bar/bar"


def groups(text: str | bytes) -> Broken:
    def breaks(root: Path) -> str:
        (root / "groups.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return "groups.csv"

    return breaks


def more_groups(line: str) -> Broken:
    def breaks(root: Path) -> str:
        with (root / "groups.csv").open("a") as table:
            table.write(line + "\n")
        return "groups.csv"

    return breaks


def exif(orientation: int, turned: bool) -> Broken:
    def breaks(root: Path) -> str:
        image = Image.open(root / RGB)
        (root / RGB).unlink()
        tags = Image.Exif()
        tags[274] = orientation
        image = image.transpose(Image.Transpose.ROTATE_90) if turned else image
        image.save(root / "cam/rgb/bar/bar0.jpg", exif=tags)
        return "cam/rgb/bar/bar0.jpg"

    return breaks


def frames(suffix: str) -> Broken:
    def breaks(root: Path) -> str:
        pictures = [Image.fromarray(scene(seed)[0]) for seed in (910, 911, 912)]
        (root / RGB).unlink()
        path = (root / RGB).with_suffix(suffix)
        pictures[0].save(path, save_all=True, append_images=pictures[1:])
        return path.relative_to(root).as_posix()

    return breaks


def print_colours(root: Path) -> str:
    image = Image.open(root / RGB).convert("CMYK")
    (root / RGB).unlink()
    image.save(root / "cam/rgb/bar/bar0.jpg")
    return "cam/rgb/bar/bar0.jpg"


def transparent(root: Path) -> str:
    image = Image.open(root / RGB).convert("RGBA")
    image.putalpha(100)
    image.save(root / RGB)
    return RGB


def mask(root: Path) -> str:
    Image.open(root / RGB).convert("1").save(root / RGB)
    return RGB


def jpeg_inside(root: Path) -> str:
    Image.open(root / RGB).save(root / RGB, format="JPEG")
    return RGB


def metres_as_millimetres(root: Path) -> str:
    for path in (root / "cam/depth").rglob("*.png"):
        Image.fromarray((np.asarray(Image.open(path)) // 100).astype(np.uint16)).save(path)
    return "."


def stray(root: Path) -> str:
    shutil.copy(root / RGB, root / "cam/rgb/loose.png")
    return "cam/rgb/loose.png"


def hidden_depth(root: Path) -> str:
    depth = np.zeros((24, 32), np.uint16)
    depth[:1] = 1500
    Image.fromarray(depth).save(root / DEPTH)
    return DEPTH


def bomb_of_tags(root: Path) -> str:
    """A TIFF whose directory leads back to itself."""
    tifffile.imwrite(root / "cam/rgb/bar/bar0.tif", scene(5)[0])
    (root / RGB).unlink()
    path = root / "cam/rgb/bar/bar0.tif"
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    path.write_bytes(data)
    return ""


GREY, DEEP = np.asarray(scene(7)[0])[..., 0], scene(8)[1]

ERRORS: dict[str, tuple[Broken, str]] = {
    "truncated png": (truncated(RGB), "unusable-file"),
    "truncated 16-bit png": (truncated(DEPTH), "unusable-file"),
    "truncated jpeg": (truncated(RGB, ".jpg"), "unusable-file"),
    "truncated tiff": (truncated(RGB, ".tif"), "unusable-file"),
    "truncated in the header": (truncated(RGB, ".png", 0.02), "unusable-file"),
    "png bomb": (content(RGB, png(60000, 60000)), "too-large"),
    "png a little too large": (content(RGB, png(9500, 9500)), "too-large"),
    "npy bomb": (
        content(
            DEPTH,
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '<u2', 'fortran_order': False, 'shape': (90000, 90000)}".ljust(117)
            + b"\n",
            ".npy",
        ),
        "too-large",
    ),
    "zero bytes": (content(RGB, b""), "empty-file"),
    "text as png": (content(RGB, b"404 not found"), "unusable-file"),
    "web page as jpeg": (content(RGB, b"<html><body>Sign in", ".jpg"), "unusable-file"),
    "gif as png": (content(RGB, b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "unusable-file"),
    "pickle as npy": (content(DEPTH, b"\x80\x04K\x01.", ".npy"), "unusable-file"),
    "npy of objects": (pixels(DEPTH, np.array([[None]], dtype=object), ".npy"), "unusable-file"),
    "npy of four dimensions": (pixels(DEPTH, np.ones((2, 2, 2, 2), np.uint16), ".npy"), "unusable-file"),
    "8-bit depth": (pixels(DEPTH, GREY), "unusable-file"),
    "coloured depth": (pixels(DEPTH, scene(9)[0]), "unusable-file"),
    "16-bit grey as rgb": (pixels(RGB, DEEP), "unusable-file"),
    "swapped halves": (swapped, "unusable-file"),
    "depth of nothing": (pixels(DEPTH, np.zeros((24, 32), np.uint16)), "unusable-file"),
    "float depth of NaN": (pixels(DEPTH, floats(1.0), ".tif"), "unusable-file"),
    "float depth in metres as mm": (pixels(DEPTH, floats(0, scale=1.0), ".npy"), "unusable-file"),
    "too far integers": (pixels(DEPTH, np.full((24, 32), 700000, np.int32), ".npy"), "unusable-file"),
    "a folder where a file should be": (folder_instead, "folder-as-image"),
    "a pipe": (pipe, "special-file"),
    "a socket": (listening, "special-file"),
    "link to itself": (link(RGB, "bar0.png"), "link-loop"),
    "link to a folder above": (link("cam/rgb/bar/up", ".."), "link-loop"),
    "link to the root as a class": (link("cam/rgb/whole", "../.."), "link-loop"),
    "link to the whole disk": (link("cam/rgb/disk", "/"), "link-loop"),
    "link to nothing": (link(RGB, "gone.png"), "dangling-link"),
    "name that is not UTF-8": (not_utf8, "name-not-utf8"),
    "two files of one stem": (one_stem_twice, "layout"),
    "missing half": (missing_half, "incomplete-sample"),
    "empty class": (empty_class, "empty-class"),
    "one image in two classes": (copied(RGB, "cam/rgb/disc/disc0.png"), "duplicate-across-classes"),
    "one image in all parts": (copied_everywhere, "duplicate-across-parts"),
    "groups without columns": (groups("a,b\n1,2\n"), "groups-table"),
    "groups empty": (groups(""), "groups-table"),
    "groups with a blank": (more_groups("x,"), "groups-table"),
    "groups that contradict": (more_groups("bar0,elsewhere"), "groups-table"),
    "groups that are no text": (groups(b"stem,group\n\xff\xfe,1\n"), "groups-table"),
    "rotated in one half only": (exif(6, turned=True), "halves-turned"),
}
NOTICES: dict[str, tuple[Broken, str]] = {
    "link out of the root": (link_out, "link-out-of-root"),
    "newline in a name": (named("a\nb"), "strange-name"),
    "escape sequence in a name": (named("\x1b[2J\x1b[31mred"), "strange-name"),
    "text direction in a name": (named("gnp.\u202ecat"), "strange-name"),
    "blank name": (named("   "), "strange-name"),
    "blank at the end": (named("x "), "strange-name"),
    "names that differ by case": (two_cases, "names-alike"),
    "names that differ by accents": (two_accents, "names-alike"),
    "float depth with NaN": (pixels(DEPTH, floats(), ".tif"), "not-finite"),
    "float depth with infinities": (pixels(DEPTH, floats(value=np.inf), ".npy"), "not-finite"),
    "mostly missing depth": (hidden_depth, "mostly-missing"),
    "constant image": (pixels(RGB, np.full((24, 32, 3), 7, np.uint8)), "constant"),
    "constant depth": (pixels(DEPTH, np.full((24, 32), 1500, np.uint16)), "constant"),
    "grey picture as rgb": (pixels(RGB, GREY), "grey-as-rgb"),
    "jpeg called png": (jpeg_inside, "wrong-suffix"),
    "animated png": (frames(".png"), "many-frames"),
    "tiff of three pages": (frames(".tif"), "many-frames"),
    "print colours": (print_colours, "print-colours"),
    "1-bit png": (mask, "one-bit"),
    "transparency": (transparent, "alpha"),
    "rotation tag in one half": (exif(3, turned=False), "rotation-tag"),
    "depth in another unit": (metres_as_millimetres, "doubtful-unit"),
    "groups of unknown stems": (more_groups("nobody,room0"), "groups-table-unused"),
    "groups twice": (more_groups("bar0,room0"), "groups-table-unused"),
    "saved again in other parts": (saved_again, "near-duplicate"),
    "image outside the layout": (stray, "unused-images"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_named_with_their_remedy(own, verified, name):
    breaks, code = ERRORS[name]
    path = breaks(own)
    report = verified(own)
    found = [one for one in report.findings if one.code == code and one.path.startswith(path)]
    assert found, [one.as_dict() for one in report.findings]
    assert report.errors and all(one.as_dict()["remedy"] for one in report.findings)


@pytest.mark.parametrize("name", NOTICES)
def test_notices_are_named_and_are_no_errors(own, verified, name):
    breaks, code = NOTICES[name]
    path = breaks(own)
    report = verified(own)
    found = [one for one in report.findings if one.code == code and one.path.startswith(path)]
    assert found, [one.as_dict() for one in report.findings]
    assert not report.errors, [one.as_dict() for one in report.findings]


@pytest.mark.parametrize("name", ["truncated png", "png bomb", "zero bytes", "8-bit depth", "missing half", "a pipe"])
def test_quick_finds_what_headers_and_names_tell(own, verified, name):
    breaks, code = ERRORS[name]
    path = breaks(own)
    report = verified(own, deep=False)
    found = {(one.code, one.path) for one in report.findings if one.rule.severity == "error"}
    assert ((code, path) in found) == (name != "truncated png")  # pixels are not looked at


def test_a_clean_tree_has_nothing_to_say(clean, verified):
    assert [one.code for one in verified(clean).findings] == ["split-unknown"]
    report = verified(clean, tr_classes=("bar", "disc"), ti_classes=("stripe",))
    assert {one.code for one in report.findings} == {"ti-beside-tr"} and report.samples == 12 and report.files == 24


def test_a_tiff_that_leads_back_to_itself_ends(own, verified):
    bomb_of_tags(own)
    assert verified(own).samples == 12


def test_tr_and_ti_that_overlap(own, verified):
    report = verified(own, tr_classes=("bar", "disc"), ti_classes=("disc",))
    (found,) = [one for one in report.findings if one.code == "split"]
    assert "disc" in found.what and report.errors == 1


def test_every_bad_file_is_named_not_only_the_first(own, verified):
    for number in range(4):
        (own / f"cam/rgb/bar/bar{number}.png").write_bytes(b"")
        (own / f"cam/depth/disc/disc{number}.png").unlink()
    report = verified(own)
    empty = [one.path for one in report.findings if one.code == "empty-file"]
    alone = [one.path for one in report.findings if one.code == "incomplete-sample"]
    assert empty == [f"cam/rgb/bar/bar{number}.png" for number in range(4)]
    assert alone == [f"cam/rgb/disc/disc{number}.png" for number in range(4)]
    assert report.left_out == 8


def test_where_the_layout_is_refused_files_are_looked_at_all_the_same(own, verified):
    one_stem_twice(own)
    (own / "cam/depth/disc/disc1.png").write_bytes(b"")
    found = {(one.code, one.path) for one in verified(own).findings}
    assert ("layout", "cam/rgb/bar") in found and ("empty-file", "cam/depth/disc/disc1.png") in found


def test_a_broken_table_of_groups_hides_nothing_else(own, verified):
    groups("stem\n")(own)
    (own / RGB).write_bytes(b"")
    codes = [one.code for one in verified(own).findings if one.rule.severity == "error"]
    assert sorted(codes) == ["empty-file", "groups-table"]


def test_a_third_camera_may_have_gaps_where_the_task_is_named(own, verified):
    (own / "cam/thermal/bar").mkdir(parents=True)
    shutil.copy(own / RGB, own / "cam/thermal/bar/bar0.png")
    assert {one.code for one in verified(own).findings if one.rule.severity == "error"} == {"incomplete-sample"}
    assert not verified(own, source="rgb@cam", target="depth@cam", told=True).errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_folders_that_cannot_be_listed(own, verified):
    (own / "cam/rgb/bar").chmod(0)
    report = verified(own)
    (own / "cam/rgb/bar").chmod(0o755)
    assert ("unlistable-folder", "cam/rgb/bar") in {(one.code, one.path) for one in report.findings}


def test_a_folder_that_the_system_refuses_to_list(own, verified, monkeypatch):
    real = os.scandir

    def refusing(path):
        if Path(path) == own / "cam/rgb/bar":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = {(one.code, one.path) for one in verified(own).findings}
    assert ("unlistable-folder", "cam/rgb/bar") in found


def test_data_that_may_only_be_read(own, verified):
    before = sorted(own.rglob("*"))
    for path in (own, *before):
        path.chmod(path.stat().st_mode & 0o555)
    report = verified(own)
    assert not report.errors and report.manifest_written
    assert own not in report.manifest.parents and sorted(own.rglob("*")) == before
