"""From a sensor's unit to the three channels a network takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.data.modality import Modality


class Encoding(ABC):
    """Maps a batch in sensor units to three channels in [0, 1].

    Required: ``__call__(images, modality)`` with ``images`` float (B, 1, H, W) or, for RGB,
    (B, 3, H, W), in ``modality.unit`` (depth: metres, 0 = missing); returns (B, 3, H, W) in [0, 1].
    Must treat each pixel or image on its own, never the batch, and change neither its input nor RGB (unless it
    changes RGB always). Missing depth must not leak into what was measured.

    Optional: ``modalities``, those it can encode beside RGB (None: any); a run on others is refused.

    Example::

        class Inverse(Encoding):
            def __call__(self, images, modality):
                return (0.5 / images.clamp(min=0.5)).expand(-1, 3, -1, -1)
    """

    modalities: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def __call__(self, images: Tensor, modality: Modality) -> Tensor:
        """(B, 3, H, W) in [0, 1]."""


def not_of(name: str, modalities: tuple[str, ...], found: str) -> str:
    """What to say when an encoding meets a modality that it is not made for."""
    return f"The encoding {name} is of {', '.join(modalities)}, not of {found}. Use --encoding copy or jet."
