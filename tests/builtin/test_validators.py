"""Label-free scores by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sfda_kit.adapt.bank import FeatureBank
from sfda_kit.plugins import registry
from sfda_kit.registry import build
from sfda_kit.testing.signals import small_bank

SPREAD = 50 * torch.eye(4)
COLLAPSED = 50 * torch.eye(4)[:1].repeat(4, 1)
UNSURE = torch.zeros(4, 4)


def score(name: str, logits: torch.Tensor, source_logits: torch.Tensor = SPREAD) -> float:
    validator = build(registry().get("validator", name))
    empty = torch.zeros(len(logits), 2)
    found: float = validator(FeatureBank(empty, logits), FeatureBank(empty, source_logits))
    return found


@pytest.mark.parametrize(
    ("name", "spread", "collapsed", "unsure"),
    [
        ("entropy", 0.0, 0.0, -math.log(4)),
        ("infomax", math.log(4), 0.0, 0.0),
        ("source-agreement", 1.0, 0.25, 0.25),
        ("balance", 1.0, 0.0, 0.0),
    ],
)
def test_by_hand(name: str, spread: float, collapsed: float, unsure: float) -> None:
    scores = [score(name, logits) for logits in (SPREAD, COLLAPSED, UNSURE)]
    assert scores == pytest.approx([spread, collapsed, unsure], abs=1e-4)


def test_balance_of_a_single_class() -> None:
    assert score("balance", torch.zeros(3, 1), torch.zeros(3, 1)) == 1.0


@pytest.mark.parametrize("name", registry().names("validator"))
def test_every_validator_gives_a_finite_float(name: str) -> None:
    validator = build(registry().get("validator", name))
    found = validator(small_bank(0), small_bank(1))
    assert isinstance(found, float)
    assert math.isfinite(found)
