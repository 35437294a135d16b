"""Whatever the bytes, names and tables are: verification ends, and never raises."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfda_kit.data.decode_cache import FileReader
from sfda_kit.data.images import read_image
from sfda_kit.errors import DataError, printable
from sfda_kit.verify.file_checks import FileCheck, Look, look_at
from sfda_kit.verify.groups_table import check_groups
from sfda_kit.verify.perceptual_hash import BYTES, perceptual_hash
from sfda_kit.verify.tree import look_at_tree

from .conftest import scene

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of decoders about such bytes
USUAL = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
SUFFIXES = st.sampled_from([".png", ".jpg", ".tif", ".npy"])
MODALITIES = st.sampled_from(["rgb", "depth", "nir"])


def stored(suffix: str, modality: str) -> bytes:
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        rgb, depth = scene(3)
        pixels = depth if modality == "depth" and suffix != ".jpg" else rgb
        if suffix == ".npy":
            np.save(path, pixels)
        else:
            Image.fromarray(pixels).save(path)
        return path.read_bytes()


def check(tmp_path: Path, data: bytes, suffix: str, modality: str, deep: bool = True) -> list[str]:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(data)
    facts = look_at(FileCheck(path.name, (modality,)), Look(str(tmp_path), FileReader(), "mm", deep))
    return [one.code for one in facts.findings if one.rule.severity == "error"]


@USUAL
@given(SUFFIXES, MODALITIES, st.data(), st.booleans())
def test_flipped_and_cut_bytes(tmp_path, suffix, modality, data, deep):
    good = bytearray(stored(suffix, modality))
    for _ in range(data.draw(st.integers(0, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    wrong = check(tmp_path, cut, suffix, modality, deep)
    if deep:
        try:
            read_image(tmp_path / f"any{suffix}", modality)
        except DataError:
            assert wrong  # what a run refuses, verification names


@USUAL
@given(st.binary(max_size=300), SUFFIXES, MODALITIES)
def test_any_bytes_are_named(tmp_path, data, suffix, modality):
    assert check(tmp_path, data, suffix, modality)


@USUAL
@given(SUFFIXES, st.floats(0, 0.9))
def test_every_cut_through_the_pixels_is_found(tmp_path, suffix, share):
    good = stored(suffix, "rgb")
    assert check(tmp_path, good[: int(len(good) * share)], suffix, "rgb")


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20)


@USUAL
@given(st.lists(NAMES, min_size=1, max_size=6))
def test_any_names_are_walked_and_shown(tmp_path, names):
    root = tmp_path / "tree"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name in names:
        if name not in (".", "..") and len(name.encode()) < 250:
            (root / name).touch()
    for one in look_at_tree(root).findings:
        assert printable(f"{one.path} {one.what}").isprintable()


@USUAL
@given(st.binary(max_size=200))
def test_any_table_of_groups(tmp_path, data):
    (tmp_path / "groups.csv").write_bytes(data)
    findings, lines = check_groups(tmp_path)
    assert isinstance(lines, dict) and all(one.path == "groups.csv" for one in findings)


@USUAL
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([np.uint8, np.uint16]), st.booleans(), st.integers(0, 9))
def test_looks_of_any_size(height, width, dtype, colour, seed):
    shape = (height, width, 3) if colour and dtype is np.uint8 else (height, width)
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    assert len(perceptual_hash(pixels)) in (0, BYTES)
