"""The labelled and the unlabelled part of the target images, each with batches of its own."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sfda_kit import GrowingBuffers, PseudoLabels


class PartRows(NamedTuple):
    """The rows of a step: ``labelled``, their ``labels`` and ``unlabelled``, int64 (B,), or empty as the part is."""

    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor


class TwoParts(GrowingBuffers):
    """Two parts of the N target images, divided once, kept in buffers, so that a resumed run goes on with the same.

    Each part is shuffled anew whenever all its complete batches have been used; an incomplete one is dropped. A part
    with less than one batch repeats images inside it.
    """

    labels: Tensor
    is_labelled: Tensor
    size: Tensor
    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("labels", torch.empty(0, dtype=torch.int64))
        self.register_buffer("is_labelled", torch.empty(0, dtype=torch.bool))
        for name in ("size", "key"):
            self.register_buffer(name, torch.tensor(0))

    @property
    def is_divided(self) -> bool:
        """Whether the parts are known."""
        return len(self.labels) > 0

    def divide(self, given: PseudoLabels, size: int, generator: torch.Generator) -> None:
        """Keep the labels; images of a weight above 0 are the labelled part. ``size``: B, the images of a batch."""
        self.labels, self.is_labelled = given.labels.clone(), given.weights > 0
        self.size.fill_(size)
        self.key.fill_(int(torch.randint(2**31 - 1, (), generator=generator)))

    def forward(self, step: int) -> PartRows:
        """Return the rows of ``step``, counted from 0, on the CPU."""
        labels, is_labelled = self.labels.cpu(), self.is_labelled.cpu()
        parts = (is_labelled.nonzero()[:, 0], (~is_labelled).nonzero()[:, 0])
        labelled, unlabelled = (part[self._places(len(part), step, salt)] for salt, part in enumerate(parts))
        return PartRows(labelled, labels[labelled], unlabelled)

    def _places(self, count: int, step: int, salt: int) -> Tensor:
        """Return the places of a step in a part of ``count`` images, (B,), or none of an empty part."""
        size = int(self.size)
        if not count:
            return torch.empty(0, dtype=torch.int64)
        if count < size:
            passes = -(-size // count)
            return torch.cat([self._order(count, step * passes + number, salt) for number in range(passes)])[:size]
        number, batch = divmod(step, count // size)
        return self._order(count, number, salt)[batch * size : (batch + 1) * size]

    def _order(self, count: int, number: int, salt: int) -> Tensor:
        """Return the order of pass ``number`` over a part of ``count`` images; every pass has one of its own."""
        seed = 2 * (int(self.key) + number) + salt
        return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
