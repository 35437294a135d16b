"""The labels that every target image had in the last epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from sfda_kit import GrowingBuffers


class LabelHistory(GrowingBuffers):
    """A label history keeps the labels of N images as buffers, so a resumed run continues with them.

    ``past``: labels of the last T epochs, newest first, int64 (N, T), -1 where there is none; ``current``: labels given
    in this epoch, int64 (N,), -1 where there is none yet. ``start`` sets N.
    """

    past: Tensor
    current: Tensor

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.register_buffer("past", torch.empty(0, epochs, dtype=torch.int64))
        self.register_buffer("current", torch.empty(0, dtype=torch.int64))

    @property
    def is_started(self) -> bool:
        """Whether ``start`` has been called, in this run or in the one that is continued."""
        return len(self.current) > 0

    def start(self, labels: Tensor) -> None:
        """Store the labels (N,) of the epoch before the first."""
        self.past = labels.new_full((len(labels), self.past.shape[1]), -1)
        self.past[:, 0] = labels
        self.current = torch.full_like(labels, -1)

    def record(self, rows: Tensor, labels: Tensor) -> None:
        """Store the labels (B,) of a batch of ``rows`` (B,). A new epoch has begun when an image comes again."""
        if (self.current[rows] >= 0).any():
            # Images that the epoch left out keep the label they had.
            newest = torch.where(self.current >= 0, self.current, self.past[:, 0])
            self.past = torch.cat([newest[:, None], self.past[:, :-1]], dim=1)
            self.current = torch.full_like(self.current, -1)
        self.current[rows] = labels

    def agree(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return whether images ``rows`` (B,) and ``others`` (M,) had one label in the same past epoch, bool (B, M)."""
        found = torch.zeros(len(rows), len(others), dtype=torch.bool, device=rows.device)
        for mine, theirs in zip(self.past[rows].unbind(1), self.past[others].unbind(1), strict=True):
            found |= (mine[:, None] == theirs) & (mine >= 0)[:, None]
        return found
