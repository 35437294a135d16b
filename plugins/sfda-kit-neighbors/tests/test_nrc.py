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
from sfda_kit_neighbors.nrc import NRC, VARIANTS, Diversity, ReciprocalNeighbors
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
@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 3), st.sampled_from(VARIANTS))
def test_loss_is_the_published_one(seed: int, k: int, m: int, variant: str) -> None:
    signals = step(seed)
    features, softmax = signals.memory.features.tolist(), signals.memory.probabilities.tolist()
    expected = 0.0
    for i, p in zip(signals.target_rows.tolist(), signals.target_probabilities.tolist(), strict=True):
        for near in neighbours(features, i, k):
            is_strong = variant == "reciprocal" and i in neighbours(features, near, m)
            expected -= (1.0 if is_strong else 0.1) * dot(softmax[near], p) / BATCH
            for beyond in neighbours(features, near, m):
                expected -= 0.1 * dot(softmax[beyond], p) / BATCH
    assert ReciprocalNeighbors(k, m, variant)(signals).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_diversity_is_the_negative_entropy_of_the_mean(seed: int) -> None:
    predictions = step(seed).target_probabilities
    mean = [sum(column) / BATCH for column in predictions.T.tolist()]
    expected = sum(p * math.log(p + 1e-5) for p in mean)
    assert Diversity()(SimpleNamespace(target_probabilities=predictions)).item() == pytest.approx(expected)


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
    """With two images that are each other's neighbours, the gradient of p_i is - (s_k + 0.1 s_i) / B alone."""
    signals = small_step_signals(reads=("memory",))
    memory = signals.memory
    pairs = torch.arange(12) // 2
    memory.write(torch.arange(12), torch.eye(6)[pairs] @ torch.randn(6, 6), memory.probabilities.clone())
    gradient = torch.autograd.grad(ReciprocalNeighbors(1, 1)(signals), signals.target_probabilities)[0]
    mates = torch.arange(12) ^ 1
    torch.testing.assert_close(gradient, -(memory.probabilities[mates] + 0.1 * memory.probabilities) / 12)
    assert not memory.probabilities.requires_grad


def test_collapsed_features_still_give_a_loss() -> None:
    signals = step(0)
    signals.memory.write(torch.arange(IMAGES), torch.ones(IMAGES, 3).double(), F.one_hot(torch.zeros(IMAGES).long(), 4))
    assert ReciprocalNeighbors()(signals).isfinite()


@pytest.mark.parametrize("options", [{"neighbors": 0}, {"expanded": 0}])
def test_a_wrong_count_names_the_option(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"reciprocal-neighbors: {next(iter(options))} is 0"):
        ReciprocalNeighbors(**options)  # type: ignore[arg-type]


def test_a_wrong_variant_is_named() -> None:
    with pytest.raises(UserError, match=r"there is no variant 'flatt'.*flat"):
        ReciprocalNeighbors(variant="flatt")


@pytest.mark.parametrize("options", [{"neighbors": 11}, {"expanded": 11}])
def test_more_neighbours_than_images_name_the_option(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match=rf"{next(iter(options))} is 11, and with 11 target images"):
        ReciprocalNeighbors(**options)(step(0))  # type: ignore[arg-type]


def test_recipe_holds_the_papers_terms() -> None:
    (phase,) = NRC.phases
    assert {name: part.weight for name, part in phase.aligners.items()} == {"reciprocal-neighbors": 1, "diversity": 1}
    assert phase.labeler is None and phase.train == "backbone+bottleneck+classifier"
    assert phase.bank_view == "augmented"
