"""MixMatch against loops written from the formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.mixmatch import MixMatch, mix, mixmatch_loss, sharpen
from torch import Tensor

from sfda_kit import Network, PseudoLabels, StepSignals, UserError, build_part
from sfda_kit.testing import AlignerConformance
from sfda_kit.testing.networks import CLASSES, small_network, small_source_network
from sfda_kit.testing.signals import IMAGES, small_inputs

seeds = st.integers(0, 2**31 - 1)


class TestMixMatch(AlignerConformance):
    name = "mixmatch"


class TestMixMatchOfRenewedLabels(AlignerConformance):
    name = "mixmatch"
    options: ClassVar = {"keep_labels": False}


class TestMixMatchOfOneView(AlignerConformance):
    name = "mixmatch"
    options: ClassVar = {"views": 1, "alpha": 0.1, "temperature": 1.0}


def ready(**options: Any) -> MixMatch:
    found = MixMatch(**options)
    found.own_module(small_network())
    return found


def step(network: Network, weights: Tensor, progress: float = 0.5) -> StepSignals:
    inputs = replace(small_inputs(), progress=progress)
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
    values, share, mate = torch.tensor([[0.0, 4.0], [8.0, 0.0]]), torch.tensor([0.75, 0.5]), torch.tensor([1, 0])
    assert mix(values, share, mate).tolist() == [[2, 3], [4, 2]]


def test_each_image_keeps_the_larger_share() -> None:
    share = MixMatch(alpha=0.75).shares(500, torch.Generator().manual_seed(0))
    assert share.min() >= 0.5 and share.max() <= 1 and share.std() > 0.05


def test_the_step_is_the_papers() -> None:
    """Split, guess, targets and mixing by hand, with the numbers that the step draws."""
    term, network = ready(unlabelled_weight=20.0), small_network()
    found = term(step(network, halves(), progress=0.25))
    fresh, other = step(small_network(), halves(), progress=0.25), small_network()
    second = fresh.draw_target_images()
    easy = [i for i in range(IMAGES) if i % 2]
    hard = [i for i in range(IMAGES) if not i % 2]
    with torch.no_grad():
        guess = (other(fresh.target_images).logits.softmax(1) + other(second).logits.softmax(1)) / 2
    images = torch.stack(
        [*(fresh.target_images[i] for i in easy), *(v[i] for v in (fresh.target_images, second) for i in hard)]
    )
    rows = [torch.nn.functional.one_hot(fresh.pseudo_labels[i], CLASSES).float() for i in easy]
    targets = torch.stack([*rows, *(guess[i].square() / guess[i].square().sum() for _ in range(2) for i in hard)])
    share = term.shares(len(images), fresh.random).float()
    mate = torch.randperm(len(images), generator=fresh.random)
    mixed = torch.stack([s * images[i] + (1 - s) * images[j] for i, (s, j) in enumerate(zip(share, mate, strict=True))])
    soft = torch.stack(
        [s * targets[i] + (1 - s) * targets[j] for i, (s, j) in enumerate(zip(share, mate, strict=True))]
    )
    expected = mixmatch_loss(other(mixed).logits, soft, len(easy), 20.0 * 0.25)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "weights", [torch.zeros(IMAGES), torch.ones(IMAGES), torch.eye(IMAGES)[3], 1 - torch.eye(IMAGES)[3]]
)
def test_any_split_of_the_batch_gives_a_loss_and_finite_gradients(weights: Tensor) -> None:
    network = small_network()
    loss = ready()(step(network, weights))
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert loss > 0 and all(g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)


def test_unlabelled_images_count_more_and_more() -> None:
    def loss(progress: float, weight: float) -> float:
        return ready(unlabelled_weight=weight)(step(small_network(), torch.zeros(IMAGES), progress)).item()

    assert loss(0.0, 100.0) == 0
    for progress in (0.25, 0.75):  # the step's random numbers are those of its progress
        assert loss(progress, 8.0) == pytest.approx(progress * loss(progress, 8.0 / progress), rel=1e-5)
    assert loss(0.5, 100.0) == pytest.approx(100 * loss(0.5, 1.0), rel=1e-5)


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_image_keeps_the_label_it_first_had(is_kept: bool) -> None:
    """A second step with other labels and another split is one with the first, where they are kept."""
    term, plain = ready(keep_labels=is_kept), ready(keep_labels=False)
    term(step(small_network(), halves()))
    again = step(small_network(), 1 - halves())
    again._pseudo_labels = PseudoLabels((again._pseudo_labels.labels + 1) % CLASSES, 1 - halves())
    expected = plain(step(small_network(), halves()) if is_kept else step_like(again))
    torch.testing.assert_close(term(again), expected)


def step_like(signals: StepSignals) -> StepSignals:
    found = step(small_network(), halves())
    found._pseudo_labels = signals._pseudo_labels
    return found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "mixmatch: got alpha=0"),
        ({"views": 0}, "views=0.*views of at least 1"),
        ({"unlabelled_weight": -1}, "unlabelled_weight=-1"),
        ({"temperature": 0}, "mixmatch: temperature is 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MixMatch(**options)
