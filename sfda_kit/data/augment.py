"""Batched augmentation on the device. The same geometry can be applied to both halves of pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

RESIZED_CROP_SCALE = (0.5, 1.0)


@dataclass(frozen=True)
class WholePixels:
    """Crops at whole pixels of images of side ``stored``: ``top``, ``left`` (B,), and ``mirrored``, bool (B,)."""

    stored: int
    size: int
    top: Tensor
    left: Tensor
    mirrored: Tensor


@dataclass(frozen=True)
class Geometry:
    """An affine map for each image, ``theta`` (B, 2, 3), from output to input coordinates in [-1, 1].

    ``crop``: the same map where it moves whole pixels, which can be copied instead of sampled.
    """

    theta: Tensor
    crop: WholePixels | None = None

    def at(self, images: Tensor | slice) -> Geometry:
        """Return the geometry of some of the images."""
        crop = self.crop
        if crop is not None:
            crop = replace(crop, top=crop.top[images], left=crop.left[images], mirrored=crop.mirrored[images])
        return Geometry(self.theta[images], crop)

    def apply(self, images: Tensor, size: int, nearest: bool) -> Tensor:
        """Sample (B, C, size, size) from (B, C, S, S). Set ``nearest`` where averages would be false values (depth)."""
        batch, channels = images.shape[:2]
        grid = F.affine_grid(self.theta.to(images.device), [batch, channels, size, size], align_corners=False)
        mode = "nearest" if nearest else "bilinear"
        return F.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)


def center_crop(images: Tensor, size: int) -> Tensor:
    """Cut the centre (B, C, size, size) from (B, C, S, S). This is the test transform."""
    margin = (images.shape[-1] - size) // 2
    return images[..., margin : margin + size, margin : margin + size]


def crop_flip(batch: int, stored: int, size: int, generator: torch.Generator) -> Geometry:
    """Draw random crops of ``size`` from ``stored`` pixels at whole-pixel offsets, and horizontal flips."""
    room = stored - size
    offsets = torch.randint(0, room + 1, (batch, 2), generator=generator)
    center = (2 * offsets - room).float() / stored
    geometry = _geometry(torch.full((batch,), size / stored), center, generator)
    mirrored = geometry.theta[:, 0, 0] < 0
    return replace(geometry, crop=WholePixels(stored, size, offsets[:, 1], offsets[:, 0], mirrored))


def cut(pixels: NDArray[np.generic], rows: NDArray[np.int64], crop: WholePixels) -> Tensor:
    """Cut stored crops (B, size, size, ...) from stored images (N, S, S, ...). Each byte is copied once."""
    cut = np.empty((len(rows), crop.size, crop.size, *pixels.shape[3:]), pixels.dtype)
    places = zip(rows, crop.top.tolist(), crop.left.tolist(), strict=True)
    for number, (row, top, left) in enumerate(places):
        cut[number] = pixels[row, top : top + crop.size, left : left + crop.size]
    images = torch.from_numpy(cut)
    # Images are mirrored one by one in the layout "channels last", which is fast in torch.
    same_memory = images.view(torch.int16) if images.dtype == torch.uint16 else images  # older torch flips no uint16
    mirrored = same_memory.movedim(-1, 1) if images.ndim == 4 else same_memory[:, None]
    for number in crop.mirrored.nonzero().flatten().tolist():
        mirrored[number : number + 1] = mirrored[number : number + 1].flip(3)
    return images


def resized_crop(batch: int, generator: torch.Generator) -> Geometry:
    """Draw random squares of 50 to 100 % of the area, and horizontal flips."""
    low, high = RESIZED_CROP_SCALE
    side = (low + (high - low) * torch.rand(batch, generator=generator)).sqrt()
    center = (2 * torch.rand(batch, 2, generator=generator) - 1) * (1 - side)[:, None]
    return _geometry(side, center, generator)


def _geometry(side: Tensor, center: Tensor, generator: torch.Generator) -> Geometry:
    flip = 1.0 - 2.0 * torch.randint(0, 2, side.shape, generator=generator)
    theta = torch.zeros(len(side), 2, 3)
    theta[:, 0, 0] = side * flip
    theta[:, 1, 1] = side
    theta[:, :, 2] = center
    return Geometry(theta)


def color_jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Scale the brightness, contrast and saturation of each RGB image (B, 3, H, W) in [0, 1] at random.

    Each image has its own three factors, uniform in [1 - ``strength``, 1 + ``strength``], as with ``ColorJitter`` of
    torchvision on single images. Three things differ: the order is fixed (torchvision shuffles it); grey is the plain
    mean of the channels (torchvision: 0.299 R + 0.587 G + 0.114 B); and values are clamped to [0, 1] once, at the end
    (torchvision: after each of the three). Hue does not change.
    """
    low = 1.0 - strength
    factors = low + 2 * strength * torch.rand(3, len(images), 1, 1, 1, generator=generator)
    brightness, contrast, saturation = factors.to(images.device)
    images = images * brightness
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + contrast * (images - mean)
    gray = images.mean(dim=1, keepdim=True)
    jittered: Tensor = gray + saturation * (images - gray)
    return jittered.clamp(0, 1)
