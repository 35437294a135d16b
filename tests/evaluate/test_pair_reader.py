"""Which TI pairs are read, and that both halves of a pair meet."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit.evaluate import pair_reader
from sfda_kit.evaluate.pair_reader import PairReader


class Numbers:
    """A view whose image i is the number i; as pairs, both halves are."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.source = self.target = self

    def __len__(self) -> int:
        return self.count

    def batch(self, rows: Tensor) -> Tensor:
        return rows.float()[:, None]


class Says(nn.Module):
    """Predicts the number plus ``shift``, modulo 5."""

    def __init__(self, shift: int = 0) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(features=images, logits=torch.eye(5)[(images[:, 0].long() + self.shift) % 5])


def reader(pairs: int) -> PairReader:
    config = SimpleNamespace(evaluation_batch_size=3)
    context: Any = SimpleNamespace(pairs=Numbers(pairs), config=config, source_network=Says(), autocast=nullcontext)
    return PairReader(context)


@pytest.mark.parametrize("pairs", [1, 4, 7, 30])
def test_halves_of_the_same_pair_are_compared(monkeypatch, pairs):
    monkeypatch.setattr(pair_reader, "MOST_PAIRS", 7)
    read = reader(pairs)
    assert read(Says()).agreement == 1.0
    assert read(Says(1)).agreement == 0.0


def test_up_to_the_limit_all_are_read_and_beyond_it_some_from_first_to_last(monkeypatch):
    monkeypatch.setattr(pair_reader, "MOST_PAIRS", 7)
    assert reader(7)(Says()).target.features[:, 0].tolist() == list(range(7))
    assert reader(31)(Says()).target.features[:, 0].tolist() == [0, 5, 10, 15, 20, 25, 30]
