"""Discriminators that separate source images from bridged ones, at three levels.

* ``shallow``: 1x1 convolutions on the shallow feature maps of the source network, one logit per location;
* ``pixels``: PatchGAN, convolutions on the images themselves, one logit per patch;
* ``bottleneck``: a perceptron on the bottleneck features, one logit per image. The classes of TI and target images
  differ by construction, so this level, there for comparison, pulls target images towards the meanings of TI classes.

Source of PatchGAN: Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
2017 (https://arxiv.org/abs/1611.07004), section 3.2.2 and appendix 6.1.2: 4x4 convolutions, n of them with stride 2,
then one with stride 1 and one that gives the logits; widths double up to eightfold; LeakyReLU 0.2. A logit sees 16, 34
or 70 pixels for n = 1, 2, 3. The paper's 70 pixels are about a quarter of its 256 px images, and so is the patch here:
n = 1 below 91 px, 3 from 182 px on, else 2.

Ours has 32 channels where the paper has 64, for cost; GroupNorm where it has BatchNorm, so that a logit depends on its
image alone and both sides are normalised alike; and it is unconditional, because T(x) has no source half.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

from torch import nn

from sfda_kit import UserError, shallow_width

if TYPE_CHECKING:
    from sfda_kit import Network

Level = Literal["shallow", "pixels", "bottleneck"]
HIDDEN = 64
PATCH_WIDTH = 32
GROUPS = 8


def known_level(level: Level) -> Level:
    """Return ``level``; raise ``UserError`` where it is none of the three."""
    if level not in get_args(Level):
        raise UserError(f"A bridge's level is {level!r}, expected one of {', '.join(get_args(Level))}.")
    return level


def discriminator(source_network: Network, level: Level) -> nn.Module:
    """Return a new discriminator for what ``level`` shows of ``source_network``; its logits have any shape."""
    if level == "pixels":
        return patch_discriminator(patch_layers(source_network.image_size))
    if level == "bottleneck":
        features = source_network.feature_width
        return nn.Sequential(nn.Linear(features, HIDDEN), _leaky(), nn.Linear(HIDDEN, HIDDEN), _leaky(), _logit())
    channels = shallow_width(source_network)
    layers = nn.Conv2d(channels, HIDDEN, 1), _leaky(), nn.Conv2d(HIDDEN, HIDDEN, 1), _leaky()
    return nn.Sequential(*layers, nn.Conv2d(HIDDEN, 1, 1))


def patch_layers(image_size: int | None) -> int:
    """Return how many layers of stride 2 make a patch about a quarter of the image; 1 for an unknown size."""
    if image_size is None:
        return 1
    return min(3, max(1, round(math.log2(image_size / 32))))


def patch_discriminator(strided: int, width: int = PATCH_WIDTH) -> nn.Sequential:
    """Return a PatchGAN: images (B, 3, H, W) of at least 8 px -> logits (B, 1, h, w), h about H / 2^strided."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, padding=1), _leaky()]
    channels = width
    for number in range(1, strided + 1):
        wider, stride = width * min(2**number, 8), 2 if number < strided else 1
        layers += [nn.Conv2d(channels, wider, 4, stride, padding=1, bias=False), nn.GroupNorm(GROUPS, wider), _leaky()]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 1, padding=1))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def _logit() -> nn.Module:
    return nn.Linear(HIDDEN, 1)
