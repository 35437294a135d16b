"""TI pairs as a test without labels: both halves of a pair should be predicted as the same class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sfda_kit.adaptation.feature_bank import FeatureBank, ImageBatches, PairBanks, fill_bank
from sfda_kit.profiling import region

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import AdaptationContext

MOST_PAIRS = 500
"""The most pairs that are read; more cost time in each epoch and add little, as 500 give a share to about 2 points."""


class PairReader:
    """A reader makes banks of models on the target halves of up to ``MOST_PAIRS`` TI pairs, taken evenly from all."""

    def __init__(self, context: AdaptationContext) -> None:
        assert context.pairs is not None, "made only where there are pairs"
        pairs, self.reading = context.pairs, (context.config.evaluation_batch_size, context.autocast)
        rows = torch.linspace(0, len(pairs) - 1, min(MOST_PAIRS, len(pairs))).round().long()
        self.halves = _Some(pairs.target, rows)
        self.source: FeatureBank = fill_bank(context.source_network, _Some(pairs.source, rows), *self.reading)

    def __call__(self, model: nn.Module) -> PairBanks:
        """Return the banks of the pairs for ``model``, which takes normalised target images."""
        with region("agreement on pairs"):
            return PairBanks(self.source, fill_bank(model, self.halves, *self.reading))


class _Some:
    """A selection of rows makes a smaller view."""

    def __init__(self, view: ImageBatches, rows: Tensor) -> None:
        self.view, self.rows = view, rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Tensor) -> Tensor:
        return self.view.batch(self.rows[rows])
