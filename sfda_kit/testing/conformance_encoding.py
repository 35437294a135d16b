"""The conformance suite for encodings."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from sfda_kit.interfaces.modality import Modality
from sfda_kit.plugins.modalities import modality, modality_names
from sfda_kit.plugins.tensors import described
from sfda_kit.testing.comparisons import assert_close, assert_same
from sfda_kit.testing.declaration import PartConformance


class EncodingConformance(PartConformance):
    """A test class inherits from this suite and sets ``name`` (and ``options``), as in ``sfda_kit.testing``."""

    kind: ClassVar[str] = "encoding"

    def kinds(self) -> list[Modality]:
        """Return RGB and the modalities that the encoding is for."""
        allowed = self.part().modalities
        return [modality(name) for name in modality_names() if name == "rgb" or allowed is None or name in allowed]

    @staticmethod
    def images(kind: Modality, batch: int = 3, height: int = 12, width: int = 16) -> Tensor:
        """Return (B, C, H, W) in the unit of ``kind``: a slanted surface with a hole where values may be missing."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(batch, kind.channels, height, width, generator=generator)
        if not kind.zero_is_missing:
            low, high = kind.usual or kind.valid
            return low + (high - low) * noise
        slant = torch.linspace(1.5, 3.0, height)[:, None] + 0.02 * noise
        slant[..., 3:6, 4:8] = 0
        return slant

    def test_three_channels_between_zero_and_one(self) -> None:
        """The output is valid for any size, one image and many, also where everything or nothing is measured."""
        encode = self.part()
        for kind in self.kinds():
            for images in (self.images(kind), self.images(kind, 1, 9, 7), torch.zeros(2, kind.channels, 8, 8)):
                encoded = encode(images, kind)
                expected = (len(images), 3, *images.shape[2:])
                fits = encoded.shape == expected and encoded.is_floating_point()
                assert fits, f"{kind.name} becomes {described(encoded)}; expected floating point {expected}"
                assert torch.isfinite(encoded).all(), (
                    f"{kind.name} becomes values that are not finite; expected numbers"
                )
                least, most = float(encoded.min()), float(encoded.max())
                assert 0 <= least <= most <= 1, (
                    f"{kind.name} becomes {least:.3g} to {most:.3g}; expected values in [0, 1]"
                )

    def test_each_image_is_treated_alone(self) -> None:
        """An image's encoding, and so its prediction, does not depend on the other images of the batch."""
        encode = self.part()
        for kind in self.kinds():
            images = self.images(kind)
            alone = torch.cat([encode(images[row : row + 1], kind) for row in range(len(images))])
            what = f"the encoding of an image of {kind.name}"
            assert_close(encode(images, kind), alone, what, "among other images", rtol=1e-5, atol=1e-6)

    def test_same_images_give_the_same_values_and_stay_as_they_are(self) -> None:
        """An encoding has no state, draws no random numbers and writes nothing into the batch."""
        encode = self.part()
        for kind in self.kinds():
            images = self.images(kind)
            before = images.clone()
            first = encode(images, kind)
            assert_same(images, before, f"the batch of {kind.name}", "after the call (write into a copy)")
            assert_same(encode(images, kind), first, f"the encoding of {kind.name}", "from call to call")

    def test_missing_values_do_not_leak(self) -> None:
        """Pixels at the border keep their values when a hole opens in the middle."""
        encode = self.part()
        for kind in (kind for kind in self.kinds() if kind.zero_is_missing):
            holed = self.images(kind, height=36, width=48)
            whole = torch.where(holed > 0, holed, holed.amax(dim=3, keepdim=True))
            change = (encode(holed, kind)[..., 0, :] - encode(whole, kind)[..., 0, :]).abs()
            assert float(change.max()) < 0.02, (
                f"a hole in {kind.name} changes the border by {float(change.max()):.3g}; expected that it stays"
            )
