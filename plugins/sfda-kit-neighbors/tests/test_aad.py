"""AaD against loops written from the formula."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_neighbors.aad import AAD, Attraction, Dispersion
from torch import Tensor

from sfda_kit import TargetMemory, UserError
from sfda_kit.testing import AlignerConformance, RecipeConformance

IMAGES, BATCH, CLASSES = 9, 4, 3


class TestAttraction(AlignerConformance):
    name = "attraction"


class TestDispersion(AlignerConformance):
    name = "dispersion"


class TestAad(RecipeConformance):
    name = "aad"


def step(seed: int, predictions: Tensor | None = None, progress: float = 0.0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    memory = TargetMemory(IMAGES, 3, CLASSES).double()
    memory.write(
        torch.arange(IMAGES),
        torch.randn(IMAGES, 3, generator=generator, dtype=torch.float64),
        torch.randn(IMAGES, CLASSES, generator=generator, dtype=torch.float64).softmax(1),
    )
    rows = torch.randperm(IMAGES, generator=generator)[:BATCH]
    if predictions is None:
        predictions = torch.randn(BATCH, CLASSES, generator=generator, dtype=torch.float64).softmax(1)
    return SimpleNamespace(memory=memory, target_rows=rows, target_probabilities=predictions, progress=progress)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 5))
def test_attraction_is_the_papers(seed: int, k: int) -> None:
    signals = step(seed)
    features, softmax = signals.memory.features, signals.memory.probabilities
    expected = 0.0
    for i, p in zip(signals.target_rows.tolist(), signals.target_probabilities, strict=True):
        others = sorted((j for j in range(IMAGES) if j != i), key=lambda j, i=i: -float(features[i] @ features[j]))
        expected -= sum(float(p @ softmax[j]) for j in others[:k]) / BATCH
    assert Attraction(k)(signals).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0, 5), st.floats(0, 0.99))
def test_dispersion_is_the_papers(seed: int, beta: float, progress: float) -> None:
    signals = step(seed, progress=progress)
    p = signals.target_probabilities
    pairs = sum(float(p[i] @ p[m]) for i in range(BATCH) for m in range(BATCH) if m != i)
    expected = (1 + 10 * progress) ** -beta * pairs / BATCH
    assert Dispersion(beta)(signals).item() == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(BATCH)), st.integers(0, 2**31 - 1))
def test_order_of_the_batch_does_not_matter(order: list[int], seed: int) -> None:
    signals = step(seed)
    permuted = SimpleNamespace(**vars(signals))
    permuted.target_rows = signals.target_rows[order]
    permuted.target_probabilities = signals.target_probabilities[order]
    for term in (Attraction(), Dispersion(1.0)):
        assert term(permuted).item() == pytest.approx(term(signals).item())


@pytest.mark.parametrize("term", [Attraction(), Dispersion(2.0)])
def test_gradcheck(term: Any) -> None:
    logits = torch.randn(BATCH, CLASSES, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: term(step(3, z.softmax(1), 0.3)), (logits,))


def test_a_single_image_disperses_from_nothing() -> None:
    assert Dispersion()(step(0, torch.tensor([[0.2, 0.5, 0.3]]))).item() == pytest.approx(0, abs=1e-6)


def test_wrong_options_are_named() -> None:
    with pytest.raises(UserError, match="attraction: neighbors is 0"):
        Attraction(0)
    with pytest.raises(UserError, match="dispersion: decay is -1"):
        Dispersion(-1)
    with pytest.raises(UserError, match=r"attraction.options.neighbors is 9, and with 9 target images"):
        Attraction(9)(step(0))


def test_recipe_holds_the_papers_terms() -> None:
    (phase,) = AAD.phases
    assert {name: part.weight for name, part in phase.aligners.items()} == {"attraction": 1, "dispersion": 1}
    assert (phase.train, phase.bank_view) == ("backbone+bottleneck+classifier", "augmented")
    assert (Attraction().neighbors, Dispersion().decay) == (3, 0)
