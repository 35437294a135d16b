"""Encodings of one channel as three: by the value of each pixel alone, or within the range of its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sfda_kit.errors import UserError
from sfda_kit.interfaces.encoding import Encoding

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.interfaces.modality import Modality

MAX_RANGE = 8.0
"""Metres shown as full scale: SUN RGB-D clips its indoor depth to this range."""


class ChannelCopy(Encoding):
    """This encoding shows the value in all three channels; RGB stays as it is.

    Depth becomes ``metres / max_range``, clipped to [0, 1]; missing (0) stays 0. Option ``max_range`` in metres.
    Brightness is in [0, 1] already. Other values become their place in the usual range of the modality, clipped.
    """

    def __init__(self, max_range: float = MAX_RANGE) -> None:
        if max_range <= 0:
            raise UserError(f"Encoding max_range is {max_range}; expected metres greater than 0.")
        self.max_range = max_range

    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Encode (B, 1 or 3, H, W) in the modality's unit as (B, 3, H, W) in [0, 1]."""
        return images if images.shape[1] == 3 else self._unit_range(images, modality).expand(-1, 3, -1, -1)

    def _unit_range(self, images: Tensor, modality: Modality) -> Tensor:
        if modality.unit == "metres":
            return (images / self.max_range).clamp(0, 1)
        return place_in(images, *(modality.usual or modality.valid))


def place_in(images: Tensor, low: float, high: float) -> Tensor:
    """Return the place of each value between ``low`` and ``high``, clipped to [0, 1]."""
    if (low, high) != (0.0, 1.0):
        images = (images - low) / (high - low)
    return images.clamp(0, 1)


class Range(Encoding):
    """This encoding shows values from ``low`` to ``high`` as 0 to 1, in all three channels; RGB stays as it is.

    Options ``low`` and ``high`` in the unit of the modality (thermal: degrees Celsius); the default is its usual range.
    One value is one brightness in every image. Missing values are 0. Raises ``UserError`` where the images can hold
    nothing of the range, as 8-bit thermal pictures hold no degrees.
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        if low is not None and high is not None and low >= high:
            raise UserError(f"Encoding options low={low} and high={high}: expected low < high.")
        self.low, self.high = low, high

    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Encode (B, 1 or 3, H, W) in the modality's unit as (B, 3, H, W) in [0, 1]."""
        return images if images.shape[1] == 3 else self.shares(images, modality).expand(-1, 3, -1, -1)

    def shares(self, images: Tensor, modality: Modality) -> Tensor:
        """Return the place of each value in the range, (B, 1, H, W) in [0, 1]."""
        low, high = self.limits(modality)
        shares = place_in(images, low, high)
        return shares * (images > 0) if modality.zero_is_missing else shares

    def limits(self, modality: Modality) -> tuple[float, float]:
        """Return low and high. Raises ``UserError`` where they do not fit the modality."""
        usual = modality.usual or modality.valid
        low, high = (usual[0] if self.low is None else self.low), (usual[1] if self.high is None else self.high)
        (least, most) = modality.valid
        if low >= high or low >= most or high <= least:
            raise UserError(
                f"Encoding options low={low:g} and high={high:g}: these {modality.name} images hold values from "
                f"{least:g} to {most:g} ({modality.unit}). Choose a range in it, or state the files' unit (--unit)."
            )
        return low, high


class Jet(ChannelCopy):
    """The colour map "jet" over [0, max_range]: blue is near or dark; missing is black; RGB stays as it is.

    Options ``low`` and ``high`` give another range, in the unit of the modality, as in ``Range``.

    Colour-coded depth for RGB networks comes from Eitel et al., IROS 2015 (https://arxiv.org/abs/1507.06821). They
    stretch each image to its own range; here the range is fixed, so that one colour is one distance in every image.
    """

    def __init__(self, max_range: float = MAX_RANGE, low: float | None = None, high: float | None = None) -> None:
        super().__init__(max_range)
        self.range = None if low is None and high is None else Range(low, high)

    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Encode (B, 1 or 3, H, W) in the modality's unit as (B, 3, H, W) in [0, 1]."""
        if images.shape[1] == 3:
            return super().__call__(images, modality)
        peaks = torch.tensor([3.0, 2.0, 1.0], device=images.device)[:, None, None]
        value = self.range.shares(images, modality) if self.range else self._unit_range(images, modality)
        colours = (1.5 - (4 * value - peaks).abs()).clamp(0, 1)
        return colours * (images > 0) if modality.zero_is_missing else colours


class Stretch(Encoding):
    """This encoding stretches each image over its own range, in all three channels; RGB stays as it is.

    Eitel et al., IROS 2015 (https://arxiv.org/abs/1507.06821) stretch each depth image in this way. A crop of an object
    spans decimetres, to which a fixed range of metres leaves almost no contrast. The distance itself is lost. The
    lowest and highest ``clip`` share of the measured pixels (default 0.02, ours) become 0.1 and 1; missing stays 0,
    below all that was measured. An image of one value becomes 0.1.
    """

    def __init__(self, clip: float = 0.02) -> None:
        if not 0 <= clip < 0.5:
            raise UserError(f"Encoding option clip is {clip}; expected a share of pixels in [0, 0.5).")
        self.clip = clip

    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Encode (B, 1 or 3, H, W) in the modality's unit as (B, 3, H, W) in [0, 1]."""
        if images.shape[1] == 3:
            return images
        measured = images > 0 if modality.zero_is_missing else torch.ones_like(images, dtype=torch.bool)
        low, high = self._range(images, measured)
        share = (images - low) / (high - low).clamp_min(1e-6)
        stretched: Tensor = (0.1 + 0.9 * share.clamp(0, 1)) * measured
        return stretched.expand(-1, 3, -1, -1)

    def _range(self, images: Tensor, measured: Tensor) -> Tensor:
        """Return the low and high quantile of each image's measured pixels, (2, B, 1, 1, 1); 0 where there are none."""
        values = images.masked_fill(~measured, torch.nan).flatten(1).float()
        ends = torch.tensor([self.clip, 1.0 - self.clip], dtype=values.dtype, device=images.device)
        return torch.nanquantile(values, ends, dim=1).nan_to_num(0.0)[..., None, None, None]
