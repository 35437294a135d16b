"""The contract of an encoding: from a sensor's unit to the three channels that a network takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.interfaces.modality import Modality


class Encoding(ABC):
    """An encoding maps a batch in sensor units to three channels in [0, 1].

    Required: ``__call__(images, modality)``, which takes ``images``, float (B, 1, H, W) or, for RGB, (B, 3, H, W), in
    ``modality.unit`` (depth: metres, 0 = missing; thermal: degrees Celsius, or a fraction of full scale where the files
    tell no temperature) and returns (B, 3, H, W) in [0, 1]. It must treat each pixel or image on its own, never the
    batch. It must not change its input, nor RGB (unless it always changes RGB). Missing depth
    must not leak into measured pixels. It takes any size, one image or many, also where nothing is measured. It has no
    state and draws no random numbers: the same images have the same encoding.

    Optional: ``modalities``, those that it can encode besides RGB (None: any); a run on others is refused.

    Example::

        class Inverse(Encoding):
            def __call__(self, images, modality):
                return (0.5 / images.clamp(min=0.5)).expand(-1, 3, -1, -1)
    """

    modalities: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """Return the encoded images, (B, 3, H, W) in [0, 1]."""


def not_of(name: str, modalities: tuple[str, ...], found: str) -> str:
    """Return the error message for an encoding that meets a modality it is not made for."""
    return f"The encoding {name} is of {', '.join(modalities)}, not of {found}. Use --encoding copy or jet."
