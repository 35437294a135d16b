"""The formulas of PLUE against loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_plue.losses import (
    certainty,
    concentration,
    contrastive_loss,
    draw_offsets,
    negative_classes,
    negative_learning,
    neighbour_vote,
)
from torch import Tensor

seeds = st.integers(0, 2**31 - 1)


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 7), st.floats(0.1, 10))
def test_vote_is_the_mean_of_the_nearest_by_cosine(seed: int, count: int, length: float) -> None:
    features, others, answers = randn(seed, 3, 5), randn(seed + 1, 7, 5), randn(seed + 2, 7, 4).softmax(1)
    found = neighbour_vote(length * features, others, answers, count)
    for i in range(3):
        cosines = [float(F.cosine_similarity(features[i], other, dim=0)) for other in others]
        near = sorted(range(7), key=lambda j, c=cosines: -c[j])[:count]
        expected = [sum(float(answers[j, c]) for j in near) / count for c in range(4)]
        assert found[i].tolist() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 6))
def test_certainty_is_the_papers(seed: int, classes: int) -> None:
    votes = randn(seed, 5, classes).softmax(1)
    for vote, found in zip(votes.tolist(), certainty(votes).tolist(), strict=True):
        entropy = -sum(p * math.log(p + 1e-5) for p in vote)
        assert found == pytest.approx(math.exp(-entropy / math.log(classes)))


def test_certainty_lies_between_one_over_e_and_one() -> None:
    votes = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert certainty(votes).tolist() == pytest.approx([1.0, math.exp(-1)], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 5))
def test_a_negative_class_is_never_the_label_and_any_other(seed: int, classes: int) -> None:
    labels = torch.arange(classes).repeat(60)
    offsets = draw_offsets(len(labels), classes, torch.Generator().manual_seed(seed))
    found = negative_classes(labels, offsets, classes)
    assert {(int(a), int(b)) for a, b in zip(labels, found, strict=True)} == {
        (a, b) for a in range(classes) for b in range(classes) if a != b
    }


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_negative_learning_is_the_papers(seed: int) -> None:
    logits, weights = randn(seed, 6, 4), randn(seed + 1, 6).abs()
    wrong = torch.randint(4, (6,), generator=torch.Generator().manual_seed(seed))
    expected = 0.0
    for z, c, w in zip(logits, wrong.tolist(), weights.tolist(), strict=True):
        expected -= w * math.log(1 - float(z.softmax(0)[c])) / 6
    assert negative_learning(logits, wrong, weights).item() == pytest.approx(expected)


def test_negative_learning_of_a_network_sure_of_the_wrong_class_stops() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = negative_learning(logits, torch.tensor([0]), torch.ones(1))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-5)) and not logits.grad.any()  # type: ignore[union-attr]


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_concentration_is_the_papers(seed: int) -> None:
    logits = randn(seed, 6, 4)
    means = [sum(float(z.softmax(0)[c]) for z in logits) / 6 for c in range(4)]
    assert concentration(logits).item() == pytest.approx(sum(q * math.log(q + 1e-8) for q in means))


def test_concentration_is_least_where_all_classes_are_equal() -> None:
    assert concentration(torch.zeros(2, 4)).item() == pytest.approx(-math.log(4))
    assert concentration(torch.tensor([[100.0, 0, 0, 0]])).item() == pytest.approx(0)


def naive_contrast(queries: Tensor, keys: Tensor, queue: Tensor, is_negative: Tensor, temperature: float) -> float:
    total = 0.0
    for i in range(len(queries)):
        positive = math.exp(float(queries[i] @ keys[i]) / temperature)
        others = [math.exp(float(queries[i] @ queue[j]) / temperature) for j in range(len(queue)) if is_negative[i, j]]
        total -= math.log(positive / (positive + sum(others))) / len(queries)
    return total


def vectors(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    units = [F.normalize(randn(seed + n, rows, 5), dim=1) for n, rows in enumerate((4, 4, 9))]
    return (*units, randn(seed + 3, 4, 9) > 0)  # type: ignore[return-value]


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.05, 2))
def test_contrast_is_the_papers(seed: int, temperature: float) -> None:
    given_vectors = vectors(seed)
    expected = naive_contrast(*given_vectors, temperature)
    assert contrastive_loss(*given_vectors, temperature).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds, st.permutations(range(4)), st.permutations(range(9)))
def test_order_of_images_and_of_negatives_does_not_matter(seed: int, images: list[int], others: list[int]) -> None:
    queries, keys, queue, is_negative = vectors(seed)
    found = contrastive_loss(queries[images], keys[images], queue[others], is_negative[images][:, others], 0.1)
    assert found.item() == pytest.approx(contrastive_loss(queries, keys, queue, is_negative, 0.1).item())


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_a_turn_of_all_vectors_changes_nothing(seed: int) -> None:
    queries, keys, queue, is_negative = vectors(seed)
    turn = torch.linalg.qr(randn(seed + 9, 5, 5))[0]
    found = contrastive_loss(queries @ turn, keys @ turn, queue @ turn, is_negative, 0.1)
    assert found.item() == pytest.approx(contrastive_loss(queries, keys, queue, is_negative, 0.1).item())


def test_without_negatives_there_is_nothing_to_tell_apart() -> None:
    queries, keys, queue, _ = vectors(0)
    nobody = torch.zeros(4, 9, dtype=torch.bool)
    queries.requires_grad_()
    loss = contrastive_loss(queries, keys, queue, nobody, 0.07)
    loss.backward()
    assert loss.item() == 0 and queries.grad is not None and queries.grad.isfinite().all()


def test_gradcheck() -> None:
    queries, keys, queue, is_negative = vectors(3)
    is_negative[1] = False
    given_queries = queries.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: contrastive_loss(q, keys, queue, is_negative, 0.5), (given_queries,))
    logits, wrong = randn(5, 4, 3).requires_grad_(), torch.tensor([0, 2, 1, 1])
    weights = randn(6, 4).abs()
    assert torch.autograd.gradcheck(lambda z: negative_learning(z, wrong, weights), (logits,))
