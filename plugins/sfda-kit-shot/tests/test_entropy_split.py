"""The split of labeling transfer against a loop."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.entropy_split import EntropySplit, least_of_each_class

from sfda_kit import FeatureBank
from sfda_kit.testing import LabelerConformance
from sfda_kit.testing.signals import small_bank


class TestEntropySplit(LabelerConformance):
    name = "entropy-split"


def naive(bank: FeatureBank) -> list[float]:
    """Weights, one image and one class at a time."""
    probabilities = bank.logits.double().softmax(1).tolist()
    uncertainty = [-sum(p * math.log(p + 1e-5) for p in row) for row in probabilities]
    labels = [row.index(max(row)) for row in probabilities]
    share = sum(h < sum(uncertainty) / len(uncertainty) for h in uncertainty) / len(uncertainty)
    weights = [0.0] * len(labels)
    for label in set(labels):
        rows = sorted((i for i, y in enumerate(labels) if y == label), key=lambda i: uncertainty[i])
        for i in rows[: math.floor(share * len(rows))]:
            weights[i] = 1.0
    return weights


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_weights_are_those_of_the_loop(seed: int) -> None:
    bank = small_bank(seed)
    found = EntropySplit()(bank)
    assert found.labels.tolist() == bank.predictions.tolist()
    assert found.weights.tolist() == naive(bank)


def test_by_hand() -> None:
    """Six images, two classes: 4 of one class and 2 of the other; the surer half of each is easy."""
    sure = torch.tensor([4.0, 1.0, 3.0, 2.0, 0.5, 9.0])
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert least_of_each_class(-sure, labels, 0.5).tolist() == [1, 0, 1, 0, 0, 1]
    assert least_of_each_class(-sure, labels, 0.74).tolist() == [1, 0, 1, 0, 0, 1]


def test_a_class_of_one_image_has_none_that_is_easy() -> None:
    logits = torch.cat([torch.tensor([[9.0, 0, 0]]).repeat(9, 1), torch.tensor([[0, 9.0, 0.0]])])
    logits[0] = torch.tensor([0.1, 0, 0])
    found = EntropySplit()(FeatureBank(torch.zeros(10, 2), logits))
    assert found.weights.tolist() == [0] + [1] * 8 + [0]


def test_equally_sure_images_are_all_hard() -> None:
    """None of them is below the mean."""
    assert EntropySplit()(FeatureBank(torch.zeros(4, 2), torch.zeros(4, 3))).weights.tolist() == [0, 0, 0, 0]
