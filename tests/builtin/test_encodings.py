"""Encodings by hand."""

from __future__ import annotations

import pytest
import torch

from sfda_kit import Encoding
from sfda_kit.builtin.encodings import ChannelCopy, Jet, Stretch
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import build_part
from sfda_kit.plugins.modalities import modality

DEPTH, RGB, NIR = modality("depth"), modality("rgb"), modality("nir")


def metres(*values: float) -> torch.Tensor:
    return torch.tensor(values)[None, None, None]


def test_copy_scales_and_clips_depth() -> None:
    encoded = ChannelCopy(max_range=4.0)(metres(0.0, 1.0, 4.0, 9.0), DEPTH)
    assert encoded.shape == (1, 3, 1, 4)
    for channel in encoded[0]:
        assert channel[0].tolist() == [0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize("encoding", [ChannelCopy(), Jet(), Stretch()])
def test_rgb_stays_as_it_is(encoding: Encoding) -> None:
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(encoding(images, RGB), images)


def test_copy_leaves_other_modalities_in_their_range() -> None:
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(ChannelCopy()(images, NIR), images.expand(-1, 3, -1, -1))


def test_jet_by_hand() -> None:
    """Near is blue, the middle green, far red, missing black."""
    encoded = Jet(max_range=4.0)(metres(0.0, 0.5, 2.0, 3.5, 9.0), DEPTH)[0, :, 0].T
    expected = [[0, 0, 0], [0, 0, 1], [0.5, 1, 0.5], [1, 0, 0], [0.5, 0, 0]]
    torch.testing.assert_close(encoded, torch.tensor(expected))


def test_jet_of_a_modality_without_missing_values_keeps_dark_pixels() -> None:
    assert Jet()(metres(0.0), NIR)[0, :, 0, 0].tolist() == [0.0, 0.0, 0.5]


def test_stretch_by_hand() -> None:
    """The nearest measured pixel is 0.1, the farthest 1, missing black: whatever the distance in metres."""
    near = Stretch(clip=0)(metres(0.0, 1.0, 1.5, 2.0), DEPTH)
    torch.testing.assert_close(near[0, :, 0], torch.tensor([0.0, 0.1, 0.55, 1.0]).expand(3, 4))
    torch.testing.assert_close(Stretch(clip=0)(metres(0.0, 6.0, 6.05, 6.1), DEPTH), near)


def test_stretch_clips_outliers_and_takes_dark_near_infrared_for_measured() -> None:
    values = torch.linspace(1, 2, 101)
    values[-1] = 9.0  # one pixel of a hundred
    clipped = Stretch(clip=0.02)(metres(*values.tolist()), DEPTH)[0, 0, 0]
    assert float(clipped[-3:].min()) == 1.0 and float(clipped[50]) == pytest.approx(0.55, abs=0.01)
    assert Stretch(clip=0)(metres(0.0, 0.5), NIR)[0, 0, 0].tolist() == pytest.approx([0.1, 1.0])


def test_stretch_of_nothing_and_of_one_value() -> None:
    assert not Stretch()(metres(0.0, 0.0), DEPTH).any()
    assert Stretch()(metres(0.0, 3.0), DEPTH)[0, 0, 0].tolist() == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize("clip", [-0.1, 0.5])
def test_stretch_of_a_bad_share_is_a_user_error(clip: float) -> None:
    with pytest.raises(UserError, match="expected a share of pixels"):
        Stretch(clip=clip)


@pytest.mark.parametrize("name", ["copy", "jet", "stretch"])
@pytest.mark.parametrize("kind", [DEPTH, NIR, RGB])
def test_every_encoding_is_in_range_and_treats_images_alone(name: str, kind: object) -> None:
    encoding = build_part("encoding", name)
    images = torch.rand(3, kind.channels, 5, 5) * (20 if kind is DEPTH else 1)  # type: ignore[attr-defined]
    encoded = encoding(images, kind)
    assert encoded.shape == (3, 3, 5, 5)
    assert 0 <= float(encoded.min()) <= float(encoded.max()) <= 1
    assert torch.equal(encoding(images[1:2], kind), encoded[1:2])


def test_bad_range_is_a_user_error() -> None:
    with pytest.raises(UserError, match="expected metres greater than 0"):
        ChannelCopy(max_range=0)
