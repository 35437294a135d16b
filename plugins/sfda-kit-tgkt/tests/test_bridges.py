"""Bridges: where they start, and what they are made of."""

from __future__ import annotations

import pytest
import torch
from sfda_kit_tgkt.affine import Affine
from sfda_kit_tgkt.fcbnconv import FcBnConv
from sfda_kit_tgkt.unet import UNet
from torch import nn


@pytest.mark.parametrize("bridge", [Affine(), UNet()])
def test_untrained_bridge_is_the_identity(bridge: nn.Module) -> None:
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(bridge(images), images)


def test_affine_is_a_matrix_and_an_offset() -> None:
    bridge = Affine()
    nn.init.normal_(bridge.mix.weight)
    nn.init.normal_(bridge.mix.bias)  # type: ignore[arg-type]
    images = torch.randn(2, 3, 4, 5)
    expected = torch.einsum("oi,bihw->bohw", bridge.mix.weight[:, :, 0, 0], images)
    expected = expected + bridge.mix.bias[:, None, None]  # type: ignore[index]
    torch.testing.assert_close(bridge(images), expected, rtol=1e-4, atol=1e-5)


def test_fcbnconv_is_one_fc_one_batch_norm_one_convolution() -> None:
    fc, norm, conv = FcBnConv(hidden=5).layers
    assert isinstance(fc, nn.Conv2d)
    assert fc.kernel_size == (1, 1)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, nn.Conv2d)


@pytest.mark.parametrize(("width", "levels"), [(16, 3), (12, 2), (8, 1)])
def test_unet_takes_other_sizes(width: int, levels: int) -> None:
    images = torch.randn(1, 3, 19, 11)
    assert UNet(width, levels)(images).shape == images.shape


def test_unet_is_small_and_channels_last() -> None:
    bridge = UNet()
    assert sum(p.numel() for p in bridge.parameters()) < 100_000
    images = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    assert bridge(images).is_contiguous(memory_format=torch.channels_last)
