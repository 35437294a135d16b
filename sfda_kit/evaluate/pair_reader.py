"""TI pairs as a test without labels: is the new sensor read as the source model read the old one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import FeatureBank, ImageBatches, PairBanks, fill_bank

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import AdaptationContext

MOST_PAIRS = 500
"""More pairs would cost time at each epoch and tell little more: a share of 500 is known to 2 points."""


class PairReader:
    """Banks of models on the target halves of up to ``MOST_PAIRS`` TI pairs, evenly taken from all there are."""

    def __init__(self, context: AdaptationContext) -> None:
        assert context.pairs is not None, "made only where there are pairs"
        pairs, self.batch_size = context.pairs, context.config.evaluation_batch_size
        rows = torch.linspace(0, len(pairs) - 1, min(MOST_PAIRS, len(pairs))).round().long()
        self.halves = _Some(pairs.target, rows)
        self.source: FeatureBank = fill_bank(context.source_network, _Some(pairs.source, rows), self.batch_size)

    def __call__(self, model: nn.Module) -> PairBanks:
        """``model`` takes normalised target images."""
        return PairBanks(self.source, fill_bank(model, self.halves, self.batch_size))


class _Some:
    """Rows of a view."""

    def __init__(self, view: ImageBatches, rows: Tensor) -> None:
        self.view, self.rows = view, rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Tensor) -> Tensor:
        return self.view.batch(self.rows[rows])
