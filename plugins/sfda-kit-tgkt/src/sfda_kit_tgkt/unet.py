"""Bridge ``unet``: a small U-Net that adds a correction to its input.

Paper: https://arxiv.org/abs/2401.05014 (TGMB); this translator is ours and richer than the paper's. It is an
encoder-decoder with skips after Ronneberger et al., MICCAI 2015 (https://arxiv.org/abs/1505.04597), with three
deviations for cost and safety:

* skips are added, not concatenated, after a 1x1 convolution at the lower resolution, for half the work at full size;
* GroupNorm instead of BatchNorm, so that the translation of an image never depends on its batch, and training on TI
  pairs and on target images leaves no mixed running statistics behind;
* the last layer starts at zero, so that an untrained bridge is exactly ``copy``.

It is trained with the objective of ``objective.py``.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit_tgkt.discriminators import Level
from sfda_kit_tgkt.objective import TgmbBridge

GROUP = 8


class UNet(TgmbBridge):
    """Options: ``width`` at full size (16), ``levels`` of resolution (3); ``reversal``, ``level``: ``objective.py``."""

    def __init__(self, width: int = 16, levels: int = 3, reversal: float = 1.0, level: Level = "shallow") -> None:
        super().__init__(reversal, level)
        widths = [width * 2**level for level in range(levels)]
        steps = list(pairwise(widths))
        self.stem = block(3, width)
        self.down = nn.ModuleList(nn.Sequential(block(a, b, stride=2), block(b, b)) for a, b in steps)
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        self.up = nn.ModuleList(block(a, a) for a, _ in steps)
        self.head = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to images of the same shape; any H and W of at least 2 ** (levels - 1)."""
        maps = [self.stem(images)]
        for down in self.down:
            maps.append(down(maps[-1]))
        decoded = maps.pop()
        for lateral, up in zip(reversed(self.lateral), reversed(self.up), strict=True):
            skip = maps.pop()
            wider = F.interpolate(lateral(decoded), size=skip.shape[-2:], mode="nearest")
            decoded = up(skip + wider)
        return images + self.head(decoded)  # type: ignore[no-any-return]


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, GroupNorm, ReLU: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride), rounded up."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.GroupNorm(outputs // GROUP if outputs % GROUP == 0 else 1, outputs),
        nn.ReLU(inplace=True),
    )
