"""What L_D sees at each level, and the patches of PatchGAN."""

from __future__ import annotations

import math

import pytest
import torch
from sfda_kit_tgkt.affine import Affine
from sfda_kit_tgkt.discriminators import discriminator, patch_discriminator, patch_layers
from sfda_kit_tgkt.fcbnconv import FcBnConv
from sfda_kit_tgkt.objective import TgmbObjective, seen
from sfda_kit_tgkt.unet import UNet
from sfda_kit_tgkt.vqgan import VqGan
from torch import nn

from sfda_kit import ModelConfig, UserError
from sfda_kit.models.network import build_network, frozen_copy
from sfda_kit.testing.networks import small_source_network
from sfda_kit.testing.signals import small_bridge_signals


@pytest.mark.parametrize(
    ("side", "strided", "grid", "patch"),
    [(16, 1, 6, 16), (32, 1, 14, 16), (64, 1, 30, 16), (128, 2, 30, 34), (224, 3, 26, 70), (256, 3, 30, 70)],
)
def test_a_patch_is_about_a_quarter_of_the_image(side: int, strided: int, grid: int, patch: int) -> None:
    assert patch_layers(side) == strided
    layers = patch_discriminator(strided, width=8)
    images = torch.randn(1, 3, side, side, requires_grad=True)
    logits = layers(images)
    assert logits.shape == (1, 1, grid, grid)
    assert receptive_field(layers) == patch


def receptive_field(layers: nn.Sequential) -> int:
    side = 1
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            side = (side - 1) * layer.stride[0] + layer.kernel_size[0]
    return side


def test_one_logit_sees_its_patch_and_nothing_else_but_the_norm() -> None:
    layers = nn.Sequential(*(m for m in patch_discriminator(1, width=8) if not isinstance(m, nn.GroupNorm)))
    images = torch.randn(1, 3, 64, 64, requires_grad=True)
    layers(images)[0, 0, 15, 15].backward()
    assert images.grad is not None
    rows, columns = images.grad[0].abs().sum(0).nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == 16 and columns.max() - columns.min() + 1 == 16


def test_widths_double_up_to_eightfold() -> None:
    widths = [m.out_channels for m in patch_discriminator(3, width=64) if isinstance(m, nn.Conv2d)]
    assert widths == [64, 128, 256, 512, 1]


@pytest.mark.parametrize(("side", "strided"), [(32, 1), (128, 2), (224, 3)])
def test_patches_follow_the_size_the_network_is_made_for(side: int, strided: int) -> None:
    model = ModelConfig(backbone="test_resnet", image_size=side)
    network = frozen_copy(build_network(model, 3, pretrained=False))
    assert network.image_size == side
    strides = [m.stride[0] for m in discriminator(network, "pixels").modules() if isinstance(m, nn.Conv2d)]
    assert strides.count(2) == strided


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("shallow", ("ti_source_maps", "bridged_target_maps")),
        ("pixels", ("ti_source_images", "bridged_target_images")),
        ("bottleneck", ("ti_source_features", "bridged_target_features")),
    ],
)
def test_each_level_compares_the_source_half_and_the_bridged_target(level, wanted: tuple[str, str]) -> None:
    source = small_source_network()
    signals = small_bridge_signals(Affine(), source_network=source)
    reference, moved = seen(signals, level)
    assert reference is getattr(signals, wanted[0]) and moved is getattr(signals, wanted[1])
    logits = discriminator(source, level)(moved)
    assert len(logits) == len(moved) and logits.numel() >= len(moved)
    terms = TgmbObjective(source, level=level)
    for parameter in list(terms.discriminator.parameters())[-2:]:
        nn.init.zeros_(parameter)
    assert terms.adversarial(signals).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("make", [Affine, FcBnConv, UNet, VqGan])
def test_every_bridge_takes_a_level_and_refuses_another(make) -> None:
    assert make().level == "shallow"
    layers = make(level="pixels").objective(small_source_network()).discriminator.modules()
    assert (2, 2) in [layer.stride for layer in layers if isinstance(layer, nn.Conv2d)]
    with pytest.raises(UserError, match=r"level is 'deep', expected one of shallow, pixels, bottleneck"):
        make(level="deep")
