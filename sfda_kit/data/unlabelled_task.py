"""The task of a practitioner: unlabelled target images, optional TI pairs, and no labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.task import LEAST_IMAGES
from sfda_kit.data.views import ImageView, Normalisation, PairView, TargetView
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import modality

if TYPE_CHECKING:
    import torch

    from sfda_kit.interfaces.encoding import Encoding

Pixels = NDArray[Any]
_ORDER_SEED = 1


@dataclass(frozen=True)
class UnlabelledTask:
    """The pixels of the target images and of the TI pairs, as ``Dataset.read`` returns them, None without pairs.

    Row i of the target is ``names[i]``. ``title``: a word for the name of the run's folder. ``origin``: where the
    images come from, for the record. ``fingerprint`` changes with any name or pixel, but not with their place on the
    disk.
    """

    source_modality: str
    target_modality: str
    unit: str
    names: tuple[str, ...]
    pixels: Pixels
    pair_pixels: tuple[Pixels, Pixels] | None
    fingerprint: str
    title: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def target(self, encoding: Encoding, size: int, normalisation: Normalisation, device: torch.device) -> TargetView:
        """Return the unlabelled images as a method sees them."""
        return TargetView(self.pixels, modality(self.target_modality), encoding, size, normalisation, device)

    def pairs(
        self, encoding: Encoding, size: int, normalisation: Normalisation, device: torch.device
    ) -> PairView | None:
        """Return the TI pairs, or None where there are none."""
        if self.pair_pixels is None:
            return None
        source, target = (
            ImageView(pixels, modality(kind), encoding, size, normalisation, device)
            for pixels, kind in zip(self.pair_pixels, (self.source_modality, self.target_modality), strict=True)
        )
        return PairView(source, target)


def shuffled_order(count: int) -> NDArray[np.int64]:
    """Return the order of ``count`` target images, because folders and lists are often sorted by class."""
    return np.random.default_rng(_ORDER_SEED).permutation(count)


def require_enough(count: int, what: str) -> None:
    """Raise ``DataError`` where ``what`` holds too few images to train on."""
    if count < LEAST_IMAGES:
        raise DataError(f"{what} holds {count} image; training needs at least {LEAST_IMAGES}.")


def fingerprint_of(modalities: tuple[str, str], names: Iterable[str], arrays: Iterable[Pixels]) -> str:
    """Return a hash of the modalities of source and target, the names of the target images, and all pixels."""
    total = hashlib.sha256(repr((*modalities, list(names))).encode())
    for pixels in arrays:
        total.update(f"{pixels.dtype}{pixels.shape}".encode())
        for start in range(0, len(pixels), 256):
            total.update(np.ascontiguousarray(pixels[start : start + 256]).data)
    return total.hexdigest()[:16]
