"""The split of labeling transfer against a loop."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.entropy_split import EntropySplit, least_of_each_class

from sfda_kit import FeatureBank, UserError
from sfda_kit.testing import LabelerConformance
from sfda_kit.testing.signals import small_bank


class TestEntropySplit(LabelerConformance):
    name = "entropy-split"


class TestEntropySplitOfAFixedShare(LabelerConformance):
    name = "entropy-split"
    options: ClassVar = {"share": 0.3}


def naive(bank: FeatureBank, share: float | None) -> list[float]:
    """Weights, one image and one class at a time."""
    probabilities = bank.logits.double().softmax(1).tolist()
    uncertainty = [-sum(p * math.log(p + 1e-5) for p in row) for row in probabilities]
    labels = [row.index(max(row)) for row in probabilities]
    if share is None:
        share = sum(h <= sum(uncertainty) / len(uncertainty) for h in uncertainty) / len(uncertainty)
    weights = [0.0] * len(labels)
    for label in set(labels):
        rows = sorted((i for i, y in enumerate(labels) if y == label), key=lambda i: uncertainty[i])
        for i in rows[: max(1, math.ceil(round(share * len(rows), 6)))]:
            weights[i] = 1.0
    return weights


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.none() | st.floats(0.01, 1))
def test_weights_are_those_of_the_loop(seed: int, share: float | None) -> None:
    bank = small_bank(seed)
    found = EntropySplit(share)(bank)
    assert found.labels.tolist() == bank.predictions.tolist()
    assert found.weights.tolist() == naive(bank, share)


def test_by_hand() -> None:
    """Six images, two classes: 4 of one class and 2 of the other; the surer half of each is easy."""
    sure = torch.tensor([4.0, 1.0, 3.0, 2.0, 0.5, 9.0])
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert least_of_each_class(-sure, labels, 0.5).tolist() == [1, 0, 1, 0, 0, 1]


def test_an_unsure_class_has_easy_images_too() -> None:
    logits = torch.cat([torch.tensor([[9.0, 0, 0]]).repeat(9, 1), torch.tensor([[0, 0.1, 0.0]])])
    found = EntropySplit()(FeatureBank(torch.zeros(10, 2), logits))
    assert found.weights[9] == 1


def test_a_share_is_not_rounded_up_beyond_itself() -> None:
    values = torch.arange(10.0)
    assert least_of_each_class(values, torch.zeros(10).long(), 0.7).sum() == 7
    assert least_of_each_class(values, torch.zeros(10).long(), 0.71).sum() == 8


def test_equally_sure_images_are_all_easy() -> None:
    assert EntropySplit()(FeatureBank(torch.zeros(4, 2), torch.zeros(4, 3))).weights.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_a_wrong_share_is_named(share: float) -> None:
    with pytest.raises(UserError, match=rf"entropy-split: share is {share}, expected a number above 0 and up to 1"):
        EntropySplit(share)
