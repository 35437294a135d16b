"""Views: the images of a task as the stages see them. ``TargetView`` has no label field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfda_kit.config.models import Augmentation
from sfda_kit.data import augment, eager
from sfda_kit.data.checked_array import checked
from sfda_kit.plugins.boundary import call, is_strict, refuse
from sfda_kit.plugins.tensors import described
from sfda_kit.profiling import region

if TYPE_CHECKING:
    from sfda_kit.data.augment import Geometry
    from sfda_kit.interfaces.encoding import Encoding
    from sfda_kit.interfaces.modality import Modality

_PART = 1_200_000
"""The number of values (some megabytes) that the CPU processes at a time."""
_TOLERANCE = 1e-3
"""What rounding may add to the values of an encoding."""
GeometryKind = Augmentation


def stored_size(image_size: int) -> int:
    """Return the side of the stored images for crops of ``image_size``: an eighth larger, as 256 is to 224."""
    return image_size * 8 // 7 // 8 * 8 if image_size >= 56 else image_size + image_size // 8


@dataclass(frozen=True)
class Normalisation:
    """The per-channel mean and standard deviation of the input of the source model, for values in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise images (B, 3, H, W) in [0, 1]."""
        mean = torch.tensor(self.mean, device=images.device)[:, None, None]
        std = torch.tensor(self.std, device=images.device)[:, None, None]
        return (images - mean).div_(std)

    def undo(self, images: Tensor) -> Tensor:
        """Return images in [0, 1], clamped, from normalised ones, for display."""
        mean = torch.tensor(self.mean, device=images.device)[:, None, None]
        std = torch.tensor(self.std, device=images.device)[:, None, None]
        return (images * std + mean).clamp(0, 1)


class ImageView:
    """An image view makes normalised three-channel batches from N stored images of one modality.

    ``pixels``: uint8, uint16 or float32, (N, S, S) or (N, S, S, 3), as ``Dataset.read`` returns them. They keep their
    values until the encoding makes three channels of them.
    """

    def __init__(
        self,
        pixels: NDArray[np.generic],
        modality: Modality,
        encoding: Encoding,
        image_size: int,
        normalisation: Normalisation | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self._pixels = pixels
        self.modality = modality.held_in(pixels.dtype)
        self._divisor = modality.divisor(pixels.dtype)
        self.encoding = encoding
        self.image_size = image_size
        self.normalisation = normalisation
        self.device = torch.device(device)
        self._looks_at_values = True

    def __len__(self) -> int:
        return len(self._pixels)

    def sensor(self, rows: Tensor, geometry: Geometry | None = None) -> Tensor:
        """Return images (B, C, size, size) in the unit of the modality, by default with the test transform."""
        self._pixels = checked(self._pixels, rows.numpy())
        crop = geometry.crop if geometry and self.device.type == "cpu" else None
        if crop and (crop.stored, crop.size) == (self._pixels.shape[1], self.image_size):
            return self._in_units(augment.cut(self._pixels, rows.numpy(), crop))
        images = self._in_units(torch.from_numpy(np.ascontiguousarray(self._pixels[rows.numpy()])))
        if geometry is None:
            return augment.center_crop(images, self.image_size)
        return geometry.apply(images, self.image_size, nearest=self.modality.zero_is_missing)

    def _in_units(self, images: Tensor) -> Tensor:
        """Convert stored (B, S, S) or (B, S, S, 3) to (B, C, S, S) in the unit of the modality, on the device."""
        if images.dtype is not torch.uint8:  # few accelerators support other unsigned types
            images = images.float()
        images = images.to(self.device).float().div_(self._divisor)
        return images.movedim(-1, 1) if images.ndim == 4 else images[:, None]

    def encoded(self, rows: Tensor, geometry: Geometry | None = None) -> Tensor:
        """Return encoded images (B, 3, size, size) in [0, 1]."""
        return self._in_parts(rows, geometry, self._encode)

    def batch(self, rows: Tensor, geometry: Geometry | None = None) -> Tensor:
        """Return encoded images (B, 3, size, size), normalised for the source model."""
        with region("images"):
            return self._in_parts(rows, geometry, lambda images: self.normalise(self._encode(images)))

    def _encode(self, images: Tensor) -> Tensor:
        """Return the encoded images. Their values are looked at once, because that makes an accelerator wait."""
        found = call(self.encoding, self.encoding, images, self.modality)
        expected = (len(images), 3, *images.shape[2:])
        if not isinstance(found, Tensor) or found.shape != expected or not found.is_floating_point():
            refuse(self.encoding, described(found), f"floating point {expected}")
        if self._looks_at_values and found.numel() and not found.is_meta:
            least, most = float(found.amin()), float(found.amax())
            if not -_TOLERANCE <= least <= most <= 1 + _TOLERANCE:
                refuse(self.encoding, f"values from {least:.3g} to {most:.3g}", "values in [0, 1]")
            self._looks_at_values = is_strict()
        return found

    def _in_parts(self, rows: Tensor, geometry: Geometry | None, finish: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply ``finish`` to the images of the sensor. The CPU takes few at a time, so that they fit in its caches."""
        most = max(1, _PART // (3 * self.image_size**2)) if self.device.type == "cpu" else len(rows)
        if len(rows) <= most:
            return finish(self.sensor(rows, geometry))
        parts = [slice(start, start + most) for start in range(0, len(rows), most)]
        return torch.cat([finish(self.sensor(rows[part], geometry.at(part) if geometry else None)) for part in parts])

    def normalise(self, images: Tensor) -> Tensor:
        """Return encoded images as the network expects them."""
        images = self.normalisation(images) if self.normalisation else images
        return images.contiguous(memory_format=torch.channels_last)

    def draw_geometry(self, batch: int, kind: GeometryKind, generator: torch.Generator) -> Geometry:
        """Draw a random geometry for a batch of this view. It can be applied to the other half of a pair too."""
        stored = self._pixels.shape[1]
        if kind == "strong":
            return augment.resized_crop(batch, generator)
        if kind == "eager-strong":
            return eager.resized_boxes(batch, stored, generator)
        if kind == "eager-crop-flip":
            return eager.crop_flip_boxes(batch, stored, self.image_size, generator)
        return augment.crop_flip(batch, stored, self.image_size, generator)


class TargetView(ImageView):
    """A target view holds the target training images in shuffled order, without labels and names."""


class LabelledView(ImageView):
    """A labelled view has ``labels`` (N,). Only the training of the source model and the oracle use one."""

    def __init__(self, *args: object, labels: Tensor, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.labels = labels


@dataclass(frozen=True)
class PairView:
    """A pair view holds TI pairs without classes and names. Row i of ``source`` and ``target`` show the same scene.

    ``groups``: a code for each pair, equal for pairs of one room or video; None where nothing is known of them. A
    method that leaves pairs out to judge itself leaves out whole groups.
    """

    source: ImageView
    target: ImageView
    groups: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class EvaluationView:
    """Target images with labels and sample names. Only evaluation (and the oracle) uses them."""

    images: ImageView
    labels: Tensor
    names: Sequence[str]
    groups: Sequence[int]
