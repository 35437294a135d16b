"""What a step begins with: its rows of the views, and the images that are drawn from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfda_kit.errors import UserError
from sfda_kit.training.loop import endless

if TYPE_CHECKING:
    from sfda_kit.data.views import GeometryKind, PairView, TargetView


@dataclass(frozen=True)
class StepInputs:
    """Step inputs are the views and rows of one step; images are drawn only when a term reads them.

    ``epoch`` and ``step`` count from 0 in the phase, which has ``steps`` in all its epochs.
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

    def __init__(self, inputs: StepInputs) -> None:
        self.inputs = inputs
        target, pairs = inputs.target, inputs.pairs
        # Drawn now, in a fixed order, so that reading signals in another order changes nothing.
        self._target_geometry = target.draw_geometry(len(inputs.target_rows), inputs.geometry, inputs.generator)
        self._pair_geometry = None
        if pairs is not None:
            self._pair_geometry = pairs.target.draw_geometry(len(inputs.pair_rows), inputs.geometry, inputs.generator)

    @cached_property
    def random(self) -> torch.Generator:
        """The random numbers of this step: what its terms draw changes nothing for later steps."""
        text = f"{self.inputs.generator.initial_seed()}:{self.inputs.progress!r}"
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
