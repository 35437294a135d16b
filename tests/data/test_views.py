"""Views and augmentation: shapes, the test transform, and one geometry for both halves of a pair."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.builtin.encodings import ChannelCopy
from sfda_kit.data import views
from sfda_kit.data.augment import Geometry, center_crop, color_jitter, crop_flip, resized_crop
from sfda_kit.data.views import GeometryKind, ImageView, Normalisation, TargetView, stored_size
from sfda_kit.plugins.modalities import modality

NORMAL = Normalisation((0.5, 0.4, 0.3), (0.2, 0.1, 0.3))


def view(kind: str, pixels: np.ndarray, size: int = 8) -> ImageView:
    return TargetView(pixels, modality(kind), ChannelCopy(), size, NORMAL)


def test_batches_are_encoded_and_normalised():
    pixels = np.full((3, 10, 10), 4000, np.uint16)
    batch = view("depth", pixels).batch(torch.tensor([2, 0]))
    assert batch.shape == (2, 3, 8, 8)
    expected = (torch.tensor([0.5, 0.5, 0.5]) - torch.tensor(NORMAL.mean)) / torch.tensor(NORMAL.std)
    assert torch.allclose(batch[0, :, 0, 0], expected)
    assert torch.allclose(NORMAL.undo(batch), torch.full_like(batch, 0.5))


def test_the_test_transform_is_the_center():
    pixels = np.arange(100, dtype=np.uint8).reshape(1, 10, 10)
    sensor = view("nir", pixels).sensor(torch.tensor([0]))
    assert torch.equal(sensor[0, 0] * 255, torch.from_numpy(pixels[0, 1:9, 1:9]).float())


@pytest.mark.slow
@given(seed=st.integers(0, 1000))
def test_crop_and_flip_give_an_exact_window(seed: int):
    pixels = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    geometry = crop_flip(1, 12, 8, torch.Generator().manual_seed(seed))
    for nearest in (True, False):
        out = geometry.apply(pixels, 8, nearest)[0, 0]
        windows = [pixels[0, 0, y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
        candidates = windows + [window.flip(1) for window in windows]
        assert any(torch.allclose(out, window, atol=1e-5) for window in candidates)


@pytest.mark.parametrize(("kind", "dtype"), [("rgb", np.uint8), ("nir", np.uint8), ("depth", np.uint16)])
def test_crops_that_are_copied_are_those_that_would_be_sampled(kind: str, dtype: type):
    shape = (20, 12, 12, 3) if kind == "rgb" else (20, 12, 12)
    shown = view(kind, np.random.default_rng(0).integers(1, 250, shape).astype(dtype))
    rows = torch.tensor([3, 19, 3, 0, 7, 11])
    geometry = shown.draw_geometry(6, "crop-flip", torch.Generator().manual_seed(3))
    assert geometry.crop is not None and 0 < int(geometry.crop.mirrored.sum()) < 6
    sampled = shown.sensor(rows, Geometry(geometry.theta))
    torch.testing.assert_close(shown.sensor(rows, geometry), sampled, rtol=0, atol=0 if kind == "depth" else 1e-5)
    some = torch.tensor([4, 1])
    assert torch.equal(shown.sensor(rows[some], geometry.at(some)), shown.sensor(rows, geometry)[some])


@pytest.mark.parametrize("kind", get_args(GeometryKind))
def test_a_batch_in_parts_is_the_batch_as_a_whole(kind: str, monkeypatch: pytest.MonkeyPatch):
    shown = view("rgb", np.random.default_rng(0).integers(0, 256, (9, 10, 10, 3)).astype(np.uint8))
    rows, geometry = torch.arange(9), shown.draw_geometry(9, kind, torch.Generator().manual_seed(1))
    for drawn in (geometry, None):
        whole = shown.batch(rows, drawn), shown.encoded(rows, drawn)
        with monkeypatch.context() as patched:
            patched.setattr(views, "_PART", 3 * 8 * 8 * 2)
            parts = shown.batch(rows, drawn), shown.encoded(rows, drawn)
        assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))
        assert parts[0].is_contiguous(memory_format=torch.channels_last)


def test_stored_pixels_are_never_changed():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 10, 10, 3)).astype(np.uint8)
    shown, before = view("rgb", pixels), pixels.copy()
    shown.batch(torch.arange(4), shown.draw_geometry(4, "crop-flip", torch.Generator().manual_seed(0)))
    shown.batch(torch.arange(4))
    assert (pixels == before).all()


@pytest.mark.parametrize("kind", get_args(GeometryKind))
def test_both_halves_of_a_pair_get_the_same_geometry(kind: str):
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (4, 10, 10), dtype=np.uint8)
    rgb = view("rgb", np.repeat(gray[..., None], 3, axis=3))
    nir = view("nir", gray)
    rows = torch.arange(4)
    geometry = rgb.draw_geometry(4, kind, torch.Generator().manual_seed(3))
    assert torch.allclose(rgb.encoded(rows, geometry), nir.encoded(rows, geometry), atol=1e-6)
    assert not torch.allclose(rgb.encoded(rows, geometry), rgb.encoded(rows))


def test_depth_is_never_averaged_with_missing_pixels():
    depth = np.where(np.random.default_rng(0).random((6, 12, 12)) < 0.3, 0, 2000).astype(np.uint16)
    geometry = resized_crop(6, torch.Generator().manual_seed(1))
    sensor = view("depth", depth, 9).sensor(torch.arange(6), geometry)
    assert set(sensor.unique().tolist()) == {0.0, 2.0}


def test_resized_crops_stay_inside_the_picture():
    theta = resized_crop(500, torch.Generator().manual_seed(0)).theta
    side, center = theta[:, 1, 1], theta[:, :, 2]
    assert (side**2 >= 0.5 - 1e-6).all() and (side <= 1).all()
    assert (center.abs() + side[:, None] <= 1 + 1e-6).all()


def test_jitter_draws_factors_for_each_image_and_keeps_the_range():
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).repeat(8, 1, 1, 1)
    jittered = color_jitter(images, 0.4, torch.Generator().manual_seed(0))
    assert jittered.min() >= 0 and jittered.max() <= 1
    assert len({round(float(image.mean()), 5) for image in jittered}) == 8
    assert torch.allclose(color_jitter(images, 0.0, torch.Generator()), images)


def test_stored_sizes_keep_the_usual_proportion():
    assert [stored_size(size) for size in (64, 224, 32)] == [72, 256, 36]
    assert center_crop(torch.zeros(1, 3, 72, 72), 64).shape[-1] == 64
