from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfda_kit.data.resize import resize, resize_batch
from sfda_kit.errors import UserError

SIDES = st.integers(1, 24)
HOLES = st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(np.bool_, shape))


@pytest.mark.slow
@given(HOLES, SIDES, st.integers(1, 65535))
def test_holes_never_move_the_depth_around_them(holes, size, value):
    depth = np.where(holes, 0, value).astype(np.uint16)
    assert set(np.unique(resize(depth, size, missing_zero=True))) <= {0, value}


@pytest.mark.slow
@given(st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(np.uint16, shape)), SIDES)
@settings(max_examples=200)
def test_depth_stays_within_what_was_measured(depth, size):
    out = resize(depth, size, missing_zero=True)
    assert out.dtype == np.uint16
    assert out.shape == (size, size)
    measured, kept = depth[depth > 0], out[out > 0]
    if kept.size:
        assert measured.min() <= kept.min()
        assert kept.max() <= measured.max()
    if (depth > 0).all():
        assert (out > 0).all()


def test_a_pixel_is_missing_where_less_than_half_of_it_was_measured():
    depth = np.full((32, 32), 2000, np.uint16)
    depth[:, :16] = 0
    out = resize(depth, 4, missing_zero=True)
    assert (out[:, 0] == 0).all()
    assert (out[:, 2:] == 2000).all()


@pytest.mark.parametrize("size", [9, 16, 40])
def test_colours_agree_with_torch_antialiasing(rgb, size):
    ours = torch.from_numpy(resize(rgb, size).copy()).float()
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(rgb).movedim(-1, 0)[None].float(), (size, size), mode="bilinear", antialias=True
    )[0].movedim(0, -1)
    assert (ours - theirs).abs().max() <= 1.5


def test_a_batch_is_resized_image_by_image(rgb, depth):
    batch = np.stack([depth, depth[::-1]])
    out = resize_batch(batch, 8, missing_zero=True)
    assert (out[1] == resize(batch[1], 8, missing_zero=True)).all()
    assert resize_batch(rgb[None], 8).shape == (1, 8, 8, 3)
    assert resize_batch(np.empty((0, 5, 5), np.uint8), 8).shape == (0, 8, 8)
    assert resize(depth, 8).dtype == np.uint16


def test_the_stored_size_is_left_alone():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert (resize(image, 4) == image).all()
    with pytest.raises(UserError, match="at least 1"):
        resize(image, 0)
