"""Bridge ``vqgan``: a vector-quantised autoencoder from target images to source-like ones.

Papers: Esser, Rombach, Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021
(https://arxiv.org/abs/2012.09841), section 3.1; van den Oord et al. (https://arxiv.org/abs/1711.00937) for the
codebook. TGMB's journal version (https://arxiv.org/abs/2401.05014) shows VQ-GAN reconstructions without saying how they
are made; this design is ours. An encoder turns the target image into a grid of vectors, each is replaced by the nearest
of K codes, and a decoder makes an image of them. So the image is built from what the codes hold, whatever the sensor.

It is trained as every bridge here on TI pairs (a, b) and unlabelled target images x, guided by the frozen source model:

    L = TGMB's terms (``objective.py``) + w_q L_q + w_p L_p

* ``quantisation`` L_q: codebook loss and 0.25 times the commitment loss (``codebook.py``) on the encodings of b and x;
* ``patch`` L_p: the paper's adversarial loss, a PatchGAN (``discriminators.py``) between a and T(b). The term
  ``adversarial`` is TGMB's, between a and T(x).

Default weights (ours, not tuned): TGMB's, 1.0 and 0.1.

It is small by default: 256 codes of 32 numbers on a grid of a quarter of the side, 0.14 million parameters. Deviations
stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import UserError, domain_loss
from sfda_kit_tgkt.codebook import Codebook
from sfda_kit_tgkt.discriminators import Level, discriminator
from sfda_kit_tgkt.objective import DEFAULT_OBJECTIVE, TgmbBridge, TgmbObjective
from sfda_kit_tgkt.unet import block

if TYPE_CHECKING:
    from sfda_kit import BridgeSignals, Network


class VqGan(TgmbBridge):
    """Options: ``width`` at full size (16), ``levels`` of resolution (3: the grid is a quarter of the side),
    ``codes`` (256), ``code_size`` (32), ``commitment`` (0.25), and ``reversal`` and ``level`` (``objective.py``).
    """

    default_objective = DEFAULT_OBJECTIVE | {"quantisation": 1.0, "patch": 0.1}

    def __init__(
        self,
        width: int = 16,
        levels: int = 3,
        codes: int = 256,
        code_size: int = 32,
        commitment: float = 0.25,
        reversal: float = 1.0,
        level: Level = "shallow",
    ) -> None:
        super().__init__(reversal, level)
        for name, value in (("width", width), ("levels", levels), ("codes", codes), ("code_size", code_size)):
            if value < 1:
                raise UserError(f"vqgan: {name} is {value}, expected 1 or more.")
        if commitment < 0:
            raise UserError(f"vqgan: commitment is {commitment}, expected 0 or more.")
        self.commitment = commitment
        widths = [width * 2**number for number in range(levels)]
        steps = list(pairwise(widths))
        down = [nn.Sequential(block(a, b, stride=2), block(b, b)) for a, b in steps]
        self.encoder = nn.Sequential(block(3, width), *down, nn.Conv2d(widths[-1], code_size, 1))
        self.codebook = Codebook(codes, code_size)
        self.unpack = nn.Sequential(nn.Conv2d(code_size, widths[-1], 1), block(widths[-1], widths[-1]))
        self.up = nn.ModuleList(block(b, a) for a, b in reversed(steps))
        self.head = nn.Conv2d(width, 3, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to images of the same shape; any H and W of at least 2 ** (levels - 1)."""
        sizes = [images.shape[-2:]]
        for _ in self.up:
            sizes.append(torch.Size((side + 1) // 2 for side in sizes[-1]))
        decoded = self.unpack(self.codebook(self.encoder(images)))
        for up, size in zip(self.up, reversed(sizes[:-1]), strict=True):
            decoded = up(F.interpolate(decoded, size=size, mode="nearest"))
        return self.head(decoded)  # type: ignore[no-any-return]

    def quantisation(self, signals: BridgeSignals) -> Tensor:
        """Return L_q >= 0; in training mode, put dead codes back to use first."""
        encoded = self.encoder(torch.cat([signals.ti_target_images, signals.target_images]))
        if self.training:
            self.codebook.renew(encoded, signals.random)
        return self.codebook.loss(encoded, self.commitment)

    def objective(self, source_network: Network) -> VqGanObjective:
        """Return TGMB's terms and the two of the module docstring, with new discriminators."""
        return VqGanObjective(self, source_network)

    def figures(self) -> Mapping[str, float]:
        """Return how many codes are in use, and how evenly, in percent."""
        return self.codebook.figures()


class VqGanObjective(TgmbObjective):
    """TGMB's objective with ``quantisation`` and ``patch``."""

    def __init__(self, bridge: VqGan, source_network: Network) -> None:
        super().__init__(source_network, bridge.reversal, bridge.level)
        self.patch_discriminator = discriminator(source_network, "pixels")
        self._quantisation = bridge.quantisation  # a method, no submodule: the bridge's parameters stay its own

    def terms(self) -> Mapping[str, Callable[[BridgeSignals], Tensor]]:
        """Return the unweighted terms by name."""
        return {**super().terms(), "quantisation": self._quantisation, "patch": self.patch}

    def patch(self, signals: BridgeSignals) -> Tensor:
        """Return L_p >= 0 in nats; the discriminator descends on it, the bridge ascends."""
        images = signals.ti_source_images, signals.bridged_ti_images
        return domain_loss(self.patch_discriminator, *images, self.reversal)
