"""The call of a bridge, whose output is checked each time: a look at its shape costs nothing."""

from __future__ import annotations

from torch import Tensor, nn

from sfda_kit.models.split_pass import split_pass
from sfda_kit.plugins.boundary import call, refuse
from sfda_kit.plugins.tensors import described


def bridged(bridge: nn.Module, images: Tensor) -> Tensor:
    """Return ``bridge(images)``, for images (B, 3, H, W).

    Raises ``PartError`` where the bridge fails, and where what it returns has another shape or no floating point.
    """
    if getattr(bridge, "trained", True):
        found = split_pass(lambda part: call(bridge, bridge, part), images, bridge)
    else:  # such as a copy, which takes less time than putting parts together
        found = call(bridge, bridge, images)
    if not isinstance(found, Tensor) or found.shape != images.shape or not found.is_floating_point():
        refuse(bridge, described(found), f"images in floating point of the shape of its input, {tuple(images.shape)}")
    return found
