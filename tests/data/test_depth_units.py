from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfda_kit.data.depth_units import decode_sun_rgbd_bits, encode_sun_rgbd_bits, to_millimetres
from sfda_kit.errors import DataError


@pytest.mark.slow
@given(arrays(np.uint16, (3, 4)))
def test_bits_survive_the_way_there_and_back(millimetres):
    assert (decode_sun_rgbd_bits(encode_sun_rgbd_bits(millimetres)) == millimetres).all()
    assert (encode_sun_rgbd_bits(decode_sun_rgbd_bits(millimetres)) == millimetres).all()


@given(st.integers(0, 65535))
def test_bits_agree_with_the_toolbox_formula(stored):
    expected = ((stored >> 3) | (stored << 13)) & 0xFFFF
    assert decode_sun_rgbd_bits(np.array([[stored]], np.uint16))[0, 0] == expected


def test_sun_rgbd_depth_is_clipped_at_eight_metres():
    stored = encode_sun_rgbd_bits(np.array([[0, 1234, 8000, 9000]], np.uint16))
    assert to_millimetres(stored, "sun-rgbd-bits").tolist() == [[0, 1234, 8000, 8000]]


def test_metres_keep_what_is_finite_and_positive():
    stored = np.array([[1.234, np.nan, np.inf], [-np.inf, -1.0, 70.0]], np.float32)
    assert to_millimetres(stored, "m").tolist() == [[1234, 0, 0], [0, 0, 65535]]


def test_float_millimetres_are_rounded():
    assert to_millimetres(np.array([[1500.6, np.nan]]), "mm").tolist() == [[1501, 0]]


def test_wide_integers_fit_or_are_refused():
    assert to_millimetres(np.array([[7, -3]], np.int32), "mm").tolist() == [[7, 0]]
    with pytest.raises(DataError, match="70000"):
        to_millimetres(np.array([[70000]], np.int32), "mm")


@pytest.mark.parametrize(
    ("stored", "unit", "advice"),
    [
        (np.ones((2, 2), np.uint8), "mm", "Eight-bit depth"),
        (np.ones((2, 2, 3), np.uint8), "mm", "RGB half"),
        (np.ones((2, 2), np.uint16), "m", "--unit mm"),
        (np.full((2, 2), 1.5, np.float32), "mm", "--unit m"),
        (np.full((2, 2), 1500.0, np.float32), "m", "--unit mm"),
        (np.ones((2, 2), np.float32), "sun-rgbd-bits", "--unit m"),
        (np.ones((2, 2), np.bool_), "mm", "16-bit"),
        (np.ones((2, 2), np.complex64), "mm", "16-bit"),
    ],
)
def test_what_cannot_be_depth_is_refused_with_advice(stored, unit, advice):
    with pytest.raises(DataError, match=advice):
        to_millimetres(stored, unit)
