"""Slow augmentation of one image at a time, with random numbers and pixels from the v2 transforms of torchvision.

It checks the batched augmentation of ``augment``: ``--set adapt.augmentation=eager-crop-flip`` (or ``eager-strong``;
also ``source.augmentation``) trains with it. Both have the same distribution, which tests compare. The pixels of
resized crops differ a little, because torchvision averages where it shrinks (``antialias``).
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
    """Squares drawn by torchvision: ``boxes`` (B, 4) as ``Box``, ``mirrored`` bool (B,), and ``theta`` to match."""

    boxes: Tensor
    mirrored: Tensor

    def at(self, images: Tensor | slice) -> Boxes:
        """Return the geometry of some of the images."""
        return Boxes(self.theta[images], boxes=self.boxes[images], mirrored=self.mirrored[images])

    def apply(self, images: Tensor, size: int, nearest: bool) -> Tensor:
        """Cut (B, C, size, size) from (B, C, S, S). Set ``nearest`` where averages would be false values (depth)."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        # The plain "nearest" of torchvision is half a pixel off, which would shift one half of a pair.
        mode = InterpolationMode.NEAREST_EXACT if nearest else InterpolationMode.BILINEAR
        shown = []
        for image, box, mirrored in zip(images, self.boxes.tolist(), self.mirrored.tolist(), strict=True):
            cut: Tensor = functional.resized_crop(image, *box, size=[size, size], interpolation=mode, antialias=True)
            shown.append(functional.horizontal_flip(cut) if mirrored else cut)
        return torch.stack(shown)


def crop_flip_boxes(batch: int, stored: int, size: int, generator: torch.Generator) -> Boxes:
    """Draw ``RandomCrop`` of ``size`` from ``stored`` pixels and ``RandomHorizontalFlip`` for ``batch`` images."""
    from torchvision.transforms import v2

    return _draw(batch, stored, partial(v2.RandomCrop.get_params, output_size=(size, size)), generator)


def resized_boxes(batch: int, stored: int, generator: torch.Generator) -> Boxes:
    """Draw ``RandomResizedCrop`` of squares (ratio 1) and ``RandomHorizontalFlip`` for ``batch`` images."""
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
            mirrored.append(bool(flip(marked)[0, 0, 0]))  # the mark moves to the left only in a mirrored image
    drawn, turned = torch.tensor(boxes).reshape(-1, 4), torch.tensor(mirrored, dtype=torch.bool)
    return Boxes(_theta(drawn, turned, stored), boxes=drawn, mirrored=turned)


@contextmanager
def _global_draws(generator: torch.Generator) -> Iterator[None]:
    """Seed the global state of torch, the only one torchvision uses, from ``generator``, and restore it afterwards."""
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
