"""NRC against loops written from the formulas."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_neighbors.nrc import NRC, Diversity, ReciprocalNeighbors
from torch import Tensor

from sfda_kit import TargetMemory, UserError
from sfda_kit.testing import AlignerConformance, RecipeConformance
from sfda_kit.testing.signals import small_step_signals

IMAGES, BATCH, CLASSES = 11, 5, 4


class TestReciprocalNeighbors(AlignerConformance):
    name = "reciprocal-neighbors"


class TestDiversity(AlignerConformance):
    name = "diversity"


class TestNrc(RecipeConformance):
    name = "nrc"


def step(seed: int, predictions: Tensor | None = None) -> Any:
    """A step over rows of a random memory, which holds the batch's own answers."""
    generator = torch.Generator().manual_seed(seed)
    memory = TargetMemory(IMAGES, 3, CLASSES).double()
    features = torch.randn(IMAGES, 3, generator=generator, dtype=torch.float64)
    softmax = torch.randn(IMAGES, CLASSES, generator=generator, dtype=torch.float64).softmax(1)
    memory.write(torch.arange(IMAGES), features, softmax)
    rows = torch.randperm(IMAGES, generator=generator)[:BATCH]
    if predictions is None:
        predictions = memory.probabilities[rows].clone()
    return SimpleNamespace(memory=memory, target_rows=rows, target_probabilities=predictions)


def neighbours(features: list[list[float]], row: int, count: int) -> list[int]:
    def cosine(other: int) -> float:
        return sum(a * b for a, b in zip(features[row], features[other], strict=True))

    return sorted((j for j in range(len(features)) if j != row), key=lambda j: -cosine(j))[:count]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 3))
def test_loss_is_the_papers(seed: int, k: int, m: int) -> None:
    signals = step(seed)
    features, softmax = signals.memory.features.tolist(), signals.memory.probabilities.tolist()
    near_sum = expanded_sum = own_sum = 0.0
    for i, p in zip(signals.target_rows.tolist(), signals.target_probabilities.tolist(), strict=True):
        for near in neighbours(features, i, k):
            affinity = 1.0 if i in neighbours(features, near, m) else 0.1
            near_sum -= affinity * dot(softmax[near], p) / BATCH
            for beyond in neighbours(features, near, m):
                expanded_sum -= 0.1 * dot(softmax[beyond], p) / BATCH
        own_sum -= dot(softmax[i], p) / BATCH
    loss = ReciprocalNeighbors(k, m)(signals).item()
    assert loss == pytest.approx(near_sum + expanded_sum + own_sum)
    weighed = ReciprocalNeighbors(k, m, expanded_weight=0.0, self_weight=2.0)(signals).item()
    assert weighed == pytest.approx(near_sum + 2 * own_sum)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_diversity_is_the_divergence_from_uniform(seed: int) -> None:
    predictions = step(seed).target_probabilities
    mean = [sum(column) / BATCH for column in predictions.T.tolist()]
    expected = sum(p * math.log(p / (1 / CLASSES)) for p in mean)
    found = Diversity()(SimpleNamespace(target_probabilities=predictions)).item()
    assert found == pytest.approx(expected, abs=1e-4)  # the entropy's epsilon


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(BATCH)), st.integers(0, 2**31 - 1))
def test_order_of_the_batch_does_not_matter(order: list[int], seed: int) -> None:
    signals = step(seed)
    permuted = SimpleNamespace(
        memory=signals.memory,
        target_rows=signals.target_rows[order],
        target_probabilities=signals.target_probabilities[order],
    )
    for term in (ReciprocalNeighbors(), Diversity()):
        assert term(permuted).item() == pytest.approx(term(signals).item())


@pytest.mark.parametrize("term", [ReciprocalNeighbors(), Diversity()])
def test_gradcheck(term: Any) -> None:
    logits = torch.randn(BATCH, CLASSES, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: term(step(3, z.softmax(1))), (logits,))


def test_no_gradient_flows_into_the_memory() -> None:
    signals = small_step_signals(reads=("memory",))
    loss = ReciprocalNeighbors()(signals)
    expected = -sum(
        (signals.memory.probabilities[i] * signals.target_probabilities[i]).sum() for i in range(12)
    )  # the part of L_self, whose gradient is -s_i alone
    gradient = torch.autograd.grad(expected / 12, signals.target_probabilities, retain_graph=True)[0]
    torch.testing.assert_close(gradient, -signals.memory.probabilities / 12)
    assert loss.requires_grad and not signals.memory.probabilities.requires_grad


def test_collapsed_features_still_give_a_loss() -> None:
    signals = step(0)
    signals.memory.write(torch.arange(IMAGES), torch.ones(IMAGES, 3).double(), F.one_hot(torch.zeros(IMAGES).long(), 4))
    assert ReciprocalNeighbors()(signals).isfinite()


@pytest.mark.parametrize("options", [{"neighbors": 0}, {"expanded": 0}])
def test_a_wrong_count_names_the_option(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"reciprocal-neighbors: {next(iter(options))} is 0"):
        ReciprocalNeighbors(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"neighbors": 11}, {"expanded": 11}])
def test_more_neighbours_than_images_name_the_option(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match=rf"{next(iter(options))} is 11, and with 11 target images"):
        ReciprocalNeighbors(**options)(step(0))  # type: ignore[arg-type]


def test_recipe_holds_the_papers_terms() -> None:
    (phase,) = NRC.phases
    assert {name: part.weight for name, part in phase.aligners.items()} == {"reciprocal-neighbors": 1, "diversity": 1}
    assert phase.labeler is None and phase.train == "backbone+bottleneck"
