"""The bridge ``copy``, the control of every bridge experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfda_kit.interfaces.bridge import Bridge

if TYPE_CHECKING:
    from torch import Tensor


class Copy(Bridge):
    """This bridge returns the encoded target image as it is; there is nothing to train."""

    trained = False

    def forward(self, images: Tensor) -> Tensor:
        """Return ``images`` (B, 3, H, W), the same tensor."""
        return images
