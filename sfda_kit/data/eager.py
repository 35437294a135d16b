"""Augmentation one image at a time with torchvision's v2 transforms: slow, and neither draws nor pixels are ours.

For those who doubt the batched one of ``augment``: ``--set adapt.augmentation=eager-crop-flip`` (or
``eager-strong``; ``source.augmentation`` likewise) trains with it. Both have one distribution, which tests compare;
pixels of resized crops differ a little, since torchvision averages where it shrinks (``antialias``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sfda_kit.data.augment import RESIZED_CROP_SCALE, Geometry

Box = tuple[int, int, int, int]
"""Top, left, height and width, in whole pixels."""


@dataclass(frozen=True, kw_only=True)
class Boxes(Geometry):
    """Squares of stored images, ``boxes`` (B, 4) as ``Box`` and ``mirrored`` bool (B,), drawn by torchvision.

    ``theta`` is the same geometry as ``augment`` has it.
    """

    boxes: Tensor
    mirrored: Tensor

    def at(self, images: Tensor | slice) -> Boxes:
        """The geometry of some of the images."""
        return Boxes(self.theta[images], boxes=self.boxes[images], mirrored=self.mirrored[images])

    def apply(self, images: Tensor, size: int, nearest: bool) -> Tensor:
        """(B, C, S, S) -> (B, C, size, size). ``nearest`` where averaging would invent values (depth)."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        # Plain "nearest" of torchvision is half a pixel off, which would part the halves of a pair.
        mode = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
        shown = []
        for image, box, mirrored in zip(images, self.boxes.tolist(), self.mirrored.tolist(), strict=True):
            cut: Tensor = functional.resized_crop(image, *box, size=[size, size], interpolation=mode, antialias=True)
            shown.append(functional.horizontal_flip(cut) if mirrored else cut)
        return torch.stack(shown)


def crop_flip_boxes(batch: int, stored: int, size: int, generator: torch.Generator) -> Boxes:
    """``RandomCrop`` of ``size`` from ``stored`` pixels and ``RandomHorizontalFlip`` for each of ``batch`` images."""
    from torchvision.transforms import v2

    return _draw(batch, stored, partial(v2.RandomCrop.get_params, output_size=(size, size)), generator)


def resized_boxes(batch: int, stored: int, generator: torch.Generator) -> Boxes:
    """``RandomResizedCrop`` of squares (ratio 1) and ``RandomHorizontalFlip`` for each of ``batch`` images."""
    from torchvision.transforms import v2

    drawn = partial(v2.RandomResizedCrop.get_params, scale=list(RESIZED_CROP_SCALE), ratio=[1.0, 1.0])
    return _draw(batch, stored, drawn, generator)


def _draw(batch: int, stored: int, box_of: Callable[[Tensor], Box], generator: torch.Generator) -> Boxes:
    from torchvision.transforms import v2

    image, flip, marked = torch.empty(1, stored, stored), v2.RandomHorizontalFlip(), torch.tensor([[[0.0, 1.0]]])
    boxes, mirrored = [], []
    with _global_draws(generator):
        for _ in range(batch):
            boxes.append(box_of(image))
            mirrored.append(bool(flip(marked)[0, 0, 0]))  # the mark moved: this image is mirrored
    drawn, turned = torch.tensor(boxes).reshape(-1, 4), torch.tensor(mirrored, dtype=torch.bool)
    return Boxes(_theta(drawn, turned, stored), boxes=drawn, mirrored=turned)


@contextmanager
def _global_draws(generator: torch.Generator) -> Iterator[None]:
    """Torchvision draws from torch's global state alone: it follows from ``generator`` here, and is given back."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _theta(boxes: Tensor, mirrored: Tensor, stored: int) -> Tensor:
    top, left, height, width = boxes.float().unbind(1)
    theta = torch.zeros(len(boxes), 2, 3)
    theta[:, 0, 0] = width / stored * (1 - 2 * mirrored.float())
    theta[:, 1, 1] = height / stored
    theta[:, 0, 2] = (2 * left + width) / stored - 1
    theta[:, 1, 2] = (2 * top + height) / stored - 1
    return theta
