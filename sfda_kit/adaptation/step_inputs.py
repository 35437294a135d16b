"""What a step begins with: its rows of the views, and the images that are drawn from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfda_kit.errors import UserError
from sfda_kit.training.loop import endless

if TYPE_CHECKING:
    from sfda_kit.data.augment import Geometry
    from sfda_kit.data.views import GeometryKind, PairView, TargetView


@dataclass(frozen=True)
class StepInputs:
    """Step inputs are the views and rows of one step; images are drawn only when a term reads them.

    ``epoch`` and ``step`` count from 0 in the phase, which has ``steps`` in all its epochs, and ``part`` in the step.
    """

    target: TargetView
    target_rows: Tensor
    pairs: PairView | None
    pair_rows: Tensor
    geometry: GeometryKind
    generator: torch.Generator
    epoch: int
    step: int
    steps: int
    part: int = 0

    @property
    def progress(self) -> float:
        """The share of the phase's steps done before this one, in [0, 1)."""
        return self.step / self.steps


def epoch_inputs(
    target: TargetView,
    pairs: PairView | None,
    geometry: GeometryKind,
    generator: torch.Generator,
    *,
    size: int,
    steps: int,
    epoch: int,
    epochs: int,
    drop_last: bool = True,
) -> Iterator[StepInputs]:
    """Yield the inputs of one epoch's ``steps``: batches of ``size``, in repeated passes over images and pairs."""
    rows = endless(len(target), size, generator, drop_last)
    pair_rows = endless(len(pairs) if pairs else 0, size, generator)
    for step in range(epoch * steps, (epoch + 1) * steps):
        drawn = next(rows), pairs, next(pair_rows)
        yield StepInputs(target, *drawn, geometry, generator, epoch, step, epochs * steps)


class StepImages:
    """The images of one step. Both halves of a TI pair get the same crop and flip."""

    _target_geometry: Geometry
    _pair_geometry: Geometry | None

    def __init__(self, inputs: StepInputs, drawn: tuple[Geometry, Geometry | None] | None = None) -> None:
        """Begin a step. ``drawn``: the geometries of target images and pairs, where they are drawn already."""
        self.inputs = inputs
        target, pairs = inputs.target, inputs.pairs
        if drawn:
            self._target_geometry, self._pair_geometry = drawn
            return
        # Drawn now, in a fixed order, so that reading signals in another order changes nothing.
        self._target_geometry = target.draw_geometry(len(inputs.target_rows), inputs.geometry, inputs.generator)
        self._pair_geometry = None
        if pairs is not None:
            self._pair_geometry = pairs.target.draw_geometry(len(inputs.pair_rows), inputs.geometry, inputs.generator)

    def parts(self, count: int) -> Iterator[tuple[float, StepImages]]:
        """Yield ``count`` parts of a step, each with its share of the target images.

        They have the crops and flips of the whole step. A part has at least two images, because BatchNorm has no
        variance over one, so there may be fewer parts.
        """
        inputs = self.inputs
        given = (inputs.target_rows, inputs.pair_rows)
        count = max(1, min(count, *(len(rows) // 2 for rows in given if len(rows))))
        for number, some in enumerate(zip(*(_slices(len(rows), count) for rows in given), strict=True)):
            target, pairs = some
            part = replace(inputs, target_rows=given[0][target], pair_rows=given[1][pairs], part=number)
            drawn = self._target_geometry.at(target), self._pair_geometry.at(pairs) if self._pair_geometry else None
            yield len(part.target_rows) / len(inputs.target_rows), StepImages(part, drawn)

    @cached_property
    def random(self) -> torch.Generator:
        """The random numbers of this step: what its terms draw changes nothing for later steps."""
        inputs = self.inputs
        text = f"{inputs.generator.initial_seed()}:{inputs.progress!r}" + (f":{inputs.part}" if inputs.part else "")
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        return torch.Generator().manual_seed(seed)

    @cached_property
    def target_images(self) -> Tensor:
        """Encoded, normalised target images, (B, 3, H, W)."""
        return self.inputs.target.batch(self.inputs.target_rows, self._target_geometry)

    @cached_property
    def ti_target_images(self) -> Tensor:
        """Target halves of TI pairs, encoded and normalised, (B', 3, H, W)."""
        return self._pairs().target.batch(self.inputs.pair_rows, self._pair_geometry)

    @cached_property
    def ti_source_images(self) -> Tensor:
        """Source halves of the same TI pairs with the same geometry, normalised, (B', 3, H, W)."""
        return self._pairs().source.batch(self.inputs.pair_rows, self._pair_geometry)

    def _pairs(self) -> PairView:
        if self.inputs.pairs is None:
            raise UserError(
                "This recipe needs TI pairs and the task has none. Name TI classes (--ti-classes A,B), give a "
                "folder of pairs (--ti-dir), choose a method that needs none (shot, shot-im), or remove the "
                "term (--aligner NAME=0)."
            )
        return self.inputs.pairs


def _slices(count: int, parts: int) -> list[slice]:
    """Return slices of ``count`` rows into equal ``parts``, the first ones a row longer where it must be."""
    ends = [len(one) for one in torch.arange(count).tensor_split(parts)]
    return [slice(sum(ends[:number]), sum(ends[: number + 1])) for number in range(parts)]
