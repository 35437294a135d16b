from __future__ import annotations

import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sfda_kit.data.depth_units import encode_sun_rgbd_bits
from sfda_kit.data.images import is_image_name, read_image
from sfda_kit.errors import DataError


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy", ".PNG"])
def test_rgb_is_read_as_stored(tmp_path, write_image, rgb, suffix):
    read = read_image(write_image(tmp_path / f"a{suffix}", rgb), "rgb")
    assert read.dtype == np.uint8
    assert (read == rgb).all()


def test_jpeg_is_read_nearly_as_stored(tmp_path):
    smooth = np.tile(np.arange(32, dtype=np.uint8)[None, :, None] * 7, (24, 1, 3))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg", "rgb").astype(int) - smooth).max() < 12


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_other_colour_modes_become_rgb(tmp_path, rgb, mode):
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.fromarray(rgb).convert(mode).save(tmp_path / f"a{suffix}")
    assert read_image(tmp_path / f"a{suffix}", "rgb").shape == rgb.shape
    assert read_image(tmp_path / f"a{suffix}", "nir").shape == rgb.shape[:2]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_sixteen_bit_depth_in_millimetres(tmp_path, write_image, depth, suffix):
    read = read_image(write_image(tmp_path / f"d{suffix}", depth), "depth")
    assert read.dtype == np.uint16
    assert (read == depth).all()


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_float_depth_in_metres(tmp_path, write_image, depth, suffix):
    metres = depth.astype(np.float32) / 1000
    metres[5, 5], metres[6, 6] = np.nan, np.inf
    expected = depth.copy()
    expected[5, 5] = expected[6, 6] = 0
    assert (read_image(write_image(tmp_path / f"d{suffix}", metres), "depth", "m") == expected).all()


def test_rotated_depth(tmp_path, write_image, depth):
    path = write_image(tmp_path / "d.png", encode_sun_rgbd_bits(depth))
    assert (read_image(path, "depth", "sun-rgbd-bits") == depth).all()


def test_near_infrared_is_the_first_channel_scaled_by_dtype(tmp_path, write_image, rgb):
    assert (read_image(write_image(tmp_path / "n.png", rgb), "nir") == rgb[..., 0]).all()
    wide = rgb[..., 0].astype(np.uint16) * 257
    share = rgb[..., 0].astype(np.float32) / 255
    for name, stored in (("w.png", wide), ("f.tif", share)):
        read = read_image(write_image(tmp_path / name, stored), "nir")
        assert read.dtype == stored.dtype and (read == stored).all(), "every bit is kept"
    assert (read_image(tmp_path / "f.tif", "thermal") == wide).all(), "floats of thermal images are degrees"


def _refusal(path, modality="rgb", unit="mm") -> str:
    with pytest.raises(DataError) as refused:
        read_image(path, modality, unit)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".npy"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.95])
def test_truncated_files(tmp_path, write_image, rgb, suffix, share):
    path = write_image(tmp_path / f"a{suffix}", np.tile(rgb, (8, 8, 1)))
    path.write_bytes(path.read_bytes()[: max(1, int(path.stat().st_size * share))])
    assert any(word in _refusal(path) for word in ("truncated", "not a JPEG", "not a plain NPY"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_escape_as_another_error(tmp_path, write_image, rgb):
    generator = np.random.default_rng(0)
    for suffix in (".png", ".tif", ".jpg"):
        path = write_image(tmp_path / f"a{suffix}", rgb)
        whole = bytearray(path.read_bytes())
        for _ in range(40):
            broken = bytearray(whole)
            for place in generator.integers(0, len(whole), 6):
                broken[place] = int(generator.integers(0, 256))
            path.write_bytes(broken)
            try:
                assert read_image(path, "rgb").ndim == 3
            except DataError as error:
                assert str(path) in str(error)


def test_files_that_are_not_there_or_hold_nothing(tmp_path):
    (tmp_path / "empty.png").touch()
    assert "zero bytes" in _refusal(tmp_path / "empty.png")
    assert "cannot be opened" in _refusal(tmp_path / "missing.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert "cannot be opened" in _refusal(tmp_path / "link.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert "cannot be opened" in _refusal(tmp_path / "loop.png")
    (tmp_path / "folder.png").mkdir()
    assert "not a regular file" in _refusal(tmp_path / "folder.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in _refusal(tmp_path / "pipe.png")
    (tmp_path / "text.txt").write_text("x")
    assert "Known: .jpg" in _refusal(tmp_path / "text.txt")
    (tmp_path / "text.png").write_text("no picture")
    assert "not a JPEG" in _refusal(tmp_path / "text.png")


def test_swapped_halves(tmp_path, write_image, rgb, depth):
    assert "RGB half" in _refusal(write_image(tmp_path / "a.png", rgb), "depth")
    assert "depth half" in _refusal(write_image(tmp_path / "b.png", depth), "rgb")
    assert "Eight-bit" in _refusal(write_image(tmp_path / "c.png", rgb[..., 0]), "depth")


def test_depth_that_saw_nothing(tmp_path, write_image):
    assert "every pixel" in _refusal(write_image(tmp_path / "d.png", np.zeros((4, 4), np.uint16)), "depth")


def test_pickled_arrays_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("a.npy", "b.npy"):
        assert "Pickled objects are never loaded" in _refusal(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (10_000, 100_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        message = _refusal(tmp_path / "bomb.png")
        assert "pixels" in message
        assert "Scale it down" in message
    with (tmp_path / "bomb.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6, 3)})
    assert "not a plain NPY" in _refusal(tmp_path / "bomb.npy")


@pytest.mark.parametrize(
    ("pixels", "advice"),
    [
        (np.zeros((4,), np.uint8), "expected (H, W)"),
        (np.zeros((4, 4, 2), np.uint8), "expected (H, W)"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.full((4, 4, 3), -1, np.int16), "expected 16-bit"),
        (np.full((4, 4, 3), 3.5, np.float32), "expected 0..1"),
        (np.zeros((4, 4, 3), np.complex64), "expected 8-bit"),
    ],
)
def test_arrays_that_are_no_picture(tmp_path, write_image, pixels, advice):
    assert advice in _refusal(write_image(tmp_path / "a.npy", pixels))


def test_hidden_files_of_other_systems_are_no_images():
    assert is_image_name("A.JPG")
    assert not is_image_name("._A.jpg")
    assert not is_image_name("Thumbs.db")
