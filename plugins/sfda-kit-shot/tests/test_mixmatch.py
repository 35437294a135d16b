"""MixMatch against loops written from the formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.mixmatch import MixMatch, draw, mix, mixmatch_loss, part_edges, passes, sharpen
from sfda_kit_shot.two_parts import TwoParts
from torch import Tensor

from sfda_kit import Network, PseudoLabels, StepSignals, UserError, build_part
from sfda_kit.testing import AlignerConformance
from sfda_kit.testing.networks import CLASSES, small_network, small_source_network
from sfda_kit.testing.signals import IMAGES, small_inputs

seeds = st.integers(0, 2**31 - 1)


class TestMixMatch(AlignerConformance):
    name = "mixmatch"


class TestMixMatchOfABatchOfItsOwn(AlignerConformance):
    name = "mixmatch"
    options: ClassVar = {"batch": 3, "alpha": 0.1, "temperature": 1.0}


def ready(**options: Any) -> MixMatch:
    found = MixMatch(**options)
    found.own_module(small_network())
    return found


def step(network: Network, weights: Tensor, number: int = 0, steps: int = 4) -> StepSignals:
    """The signals of step ``number`` of ``steps``."""
    inputs = replace(small_inputs(), step=number, steps=steps)
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=torch.Generator().manual_seed(5))
    found = PseudoLabels(labels, weights)
    return StepSignals(
        inputs, network, small_source_network(), {"input": build_part("bridge", "copy")}, frozenset(), found
    )


def halves() -> Tensor:
    return (torch.arange(IMAGES) % 2).float()


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(0, 6), st.floats(0, 100))
def test_loss_is_the_papers(seed: int, labelled: int, weight: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    targets = torch.randn(6, 4, generator=generator, dtype=torch.float64).softmax(1)
    supervised = unsupervised = 0.0
    for i in range(6):
        p = logits[i].softmax(0).tolist()
        if i < labelled:
            supervised -= sum(float(y) * math.log(q) for y, q in zip(targets[i], p, strict=True)) / labelled
        else:
            unsupervised += sum((float(y) - q) ** 2 for y, q in zip(targets[i], p, strict=True)) / 4 / (6 - labelled)
    expected = supervised + weight * unsupervised
    assert mixmatch_loss(logits, targets, labelled, weight).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds, st.permutations(range(3)), st.permutations(range(3, 7)))
def test_order_within_a_part_does_not_matter(seed: int, first: list[int], second: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, targets = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64)
    order, targets = [*first, *second], targets.softmax(1)
    found = mixmatch_loss(logits[order], targets[order], 3, 7.0)
    assert found.item() == pytest.approx(mixmatch_loss(logits, targets, 3, 7.0).item())


@pytest.mark.parametrize("labelled", [0, 2, 4])
def test_gradcheck(labelled: int) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(4, 3, dtype=torch.float64).softmax(1)
    assert torch.autograd.gradcheck(lambda z: mixmatch_loss(z, targets, labelled, 10.0), (logits,))


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.2, 2))
def test_sharpening_is_the_papers(seed: int, temperature: float) -> None:
    p = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(1)
    for row, found in zip(p.tolist(), sharpen(p, temperature).tolist(), strict=True):
        powers = [value ** (1 / temperature) for value in row]
        assert found == pytest.approx([power / sum(powers) for power in powers])


def test_sharpening_by_hand() -> None:
    assert sharpen(torch.tensor([[0.6, 0.3, 0.1]]), 0.5)[0].tolist() == pytest.approx([36 / 46, 9 / 46, 1 / 46])
    assert sharpen(torch.tensor([[1.0, 0.0]]), 0.5)[0].tolist() == [1, 0]


def test_mixing_by_hand() -> None:
    values = torch.tensor([[0.0, 4.0], [8.0, 0.0]])
    assert mix(values, 0.75, torch.tensor([1, 0])).tolist() == [[2, 3], [6, 1]]


def test_an_image_keeps_the_larger_share() -> None:
    shares = torch.tensor([draw(2, 0.75, torch.Generator().manual_seed(seed))[0] for seed in range(200)])
    assert shares.min() >= 0.5 and shares.max() <= 1 and shares.std() > 0.05


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12))
def test_each_pass_has_a_part_of_each_stack(stacks: int, size: int) -> None:
    order = passes(stacks, size)
    assert sorted(order.flatten().tolist()) == list(range(stacks * size))
    sizes = torch.tensor(part_edges(stacks, size)).diff()
    assert sizes.sum() == size and sizes.max() - sizes.min() <= 1
    assert torch.bincount(order[0] // size, minlength=stacks).tolist() == sizes.tolist()


def test_the_step_is_the_papers() -> None:
    """Split, guess, targets, mixing and passes by hand, with the numbers that the step draws."""
    network, other = small_network(), small_network()
    found = ready(unlabelled_weight=20.0, batch=4)(step(network, halves()))
    fresh, parts = step(network, halves()), TwoParts()
    parts.divide(fresh.all_pseudo_labels, 4, fresh.random)
    rows = parts(0)
    easy, *views = (fresh.draw_target_images(rows=part) for part in (rows.labelled, rows.unlabelled, rows.unlabelled))
    with torch.no_grad():
        guess = (other(views[0]).logits.softmax(1) + other(views[1]).logits.softmax(1)) / 2
    sharp = [g.square() / g.square().sum() for g in guess]
    targets = torch.stack([*torch.eye(CLASSES)[rows.labels], *sharp, *sharp])
    images = torch.cat([easy, *views])
    share, mate = draw(12, 0.75, fresh.random)
    mixed = torch.stack([share * images[i] + (1 - share) * images[j] for i, j in enumerate(mate.tolist())])
    soft = torch.stack([share * targets[i] + (1 - share) * targets[j] for i, j in enumerate(mate.tolist())])
    logits = torch.empty(12, CLASSES)
    for order in ([0, 5, 10, 11], [4, 1, 6, 7], [8, 9, 2, 3]):
        logits[order] = other(mixed[order]).logits
    torch.testing.assert_close(found, mixmatch_loss(logits, soft, 4, 20.0 * 0.25))
    for a, b in zip(network.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "weights", [torch.zeros(IMAGES), torch.ones(IMAGES), torch.eye(IMAGES)[3], 1 - torch.eye(IMAGES)[3]]
)
def test_any_split_of_the_batch_gives_a_loss_and_finite_gradients(weights: Tensor) -> None:
    network = small_network()
    loss = ready()(step(network, weights))
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert loss > 0 and all(g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_unlabelled_images_count_more_and_more(steps: int) -> None:
    """The first of T steps has a T-th of the weight."""

    def loss(weight: float, steps: int) -> float:
        return ready(unlabelled_weight=weight)(step(small_network(), torch.zeros(IMAGES), 0, steps)).item()

    assert loss(8.0, steps) == pytest.approx(loss(8.0 / steps, 1), rel=1e-5)


def test_the_parts_stay_what_they_are() -> None:
    """A second step with other labels and another split is one with the first labels."""
    term, same = ready(batch=3), ready(batch=3)
    term(step(small_network(), halves()))
    same(step(small_network(), halves()))
    changed = step(small_network(), 1 - halves())
    changed._pseudo_labels = PseudoLabels((changed.all_pseudo_labels.labels + 1) % CLASSES, 1 - halves())
    torch.testing.assert_close(term(changed), same(step(small_network(), halves())))


def test_the_batch_is_that_of_the_run_unless_it_is_given() -> None:
    for batch, expected in ((None, IMAGES), (5, 5)):
        term = ready(batch=batch)
        term(step(small_network(), halves()))
        assert len(term.parts(1).labelled) == len(term.parts(1).unlabelled) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "mixmatch: got alpha=0"),
        ({"batch": 1}, "batch=1.*batch of at least 2"),
        ({"unlabelled_weight": -1}, "unlabelled_weight=-1"),
        ({"temperature": 0}, "mixmatch: temperature is 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MixMatch(**options)
