"""Bridge ``affine``: T(x) = A x + c, one 3x3 colour matrix and offset for all pixels.

It is the least a bridge can do: with copied channels it is a grey-value curve with one slope per colour. It starts as
the identity. It is trained with the objective of ``objective.py`` (TGMB, https://arxiv.org/abs/2401.05014); the form of
this bridge is ours, as the first step above the control ``copy``.
"""

from __future__ import annotations

from torch import Tensor, nn

from sfda_kit_tgkt.discriminators import Level
from sfda_kit_tgkt.objective import TgmbBridge


class Affine(TgmbBridge):
    """A 1x1 convolution, 12 parameters. Options ``reversal`` and ``level``: see ``objective.py``."""

    def __init__(self, reversal: float = 1.0, level: Level = "shallow") -> None:
        super().__init__(reversal, level)
        self.mix = nn.Conv2d(3, 3, 1)
        nn.init.dirac_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to images of the same shape."""
        return self.mix(images)  # type: ignore[no-any-return]
