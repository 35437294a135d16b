"""The labels that images had when a phase first saw them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit import GrowingBuffers


class FirstLabels(GrowingBuffers):
    """First labels of images: ``labels``, int64 (M,), -1 where not seen yet, and ``is_labelled``, bool (M,).

    M grows with the rows that are seen. Both are buffers, so a resumed run keeps the same labels.
    """

    labels: Tensor
    is_labelled: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("labels", torch.empty(0, dtype=torch.int64))
        self.register_buffer("is_labelled", torch.empty(0, dtype=torch.bool))

    def forward(self, rows: Tensor, labels: Tensor, is_labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return what images ``rows`` (B,) were given at first, and keep; new ones get what is given now."""
        missing = max(0, int(rows.max()) + 1 - len(self.labels))
        self.labels = F.pad(self.labels, (0, missing), value=-1)
        self.is_labelled = F.pad(self.is_labelled, (0, missing), value=False)
        is_new = self.labels[rows] < 0
        self.labels[rows[is_new]] = labels[is_new]
        self.is_labelled[rows[is_new]] = is_labelled[is_new]
        return self.labels[rows], self.is_labelled[rows]
