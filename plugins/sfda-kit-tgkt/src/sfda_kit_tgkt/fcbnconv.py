"""Bridge ``fcbnconv``: one fully connected layer per pixel, one BatchNorm, one convolution.

Paper: https://arxiv.org/abs/2401.05014 (TGMB). The paper describes its translator as one FC, one BatchNorm and one
convolution layer; the widths are not known to us. Ours: hidden 64, a 3x3 convolution. No activation is described, so
the map is affine in the pixels of a 3x3 neighbourhood. It is trained with the objective of ``objective.py``.
"""

from __future__ import annotations

from torch import Tensor, nn

from sfda_kit_tgkt.discriminators import Level
from sfda_kit_tgkt.objective import TgmbBridge


class FcBnConv(TgmbBridge):
    """Options: ``hidden`` channels (64), ``kernel`` (3, odd), ``reversal`` and ``level`` (see ``objective.py``)."""

    def __init__(self, hidden: int = 64, kernel: int = 3, reversal: float = 1.0, level: Level = "shallow") -> None:
        super().__init__(reversal, level)
        self.layers = nn.Sequential(
            nn.Conv2d(3, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.Conv2d(hidden, 3, kernel, padding="same"),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to images of the same shape."""
        return self.layers(images)  # type: ignore[no-any-return]
