"""The parts as functions of tensors: in a loop of one's own they are what aligners and labeler are in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sfda_kit_shot import (
    draw_rotations,
    entropy_split_labels,
    mixmatch_loss,
    mixmatch_mixup,
    relative_rotation_loss,
    sharpen,
)
from sfda_kit_shot.mixmatch import MixMatch, passes
from sfda_kit_shot.rotation import RelativeRotation
from torch import Tensor, nn

from sfda_kit import UserError, build_part
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_bank, small_step_signals


def assert_same_gradients(found: nn.Module, expected: nn.Module) -> None:
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(found.parameters(), expected.parameters(), strict=True))


def test_rotations_of_images_of_ones_own() -> None:
    network, other, aligner = small_network(), small_network(), RelativeRotation()
    head = aligner.own_module(network)
    expected = aligner(small_step_signals(network=other))
    expected.backward()
    fresh, expected_head = small_step_signals(), [p.grad.clone() for p in head.parameters()]
    head.zero_grad()

    turned, quarters = draw_rotations(fresh.target_images, fresh.random)
    upright = network(fresh.target_images).features.detach()
    loss = relative_rotation_loss(head(torch.cat([upright, network(turned).features], dim=1)), quarters)
    loss.backward()
    assert torch.equal(loss, expected)
    assert_same_gradients(network.backbone, other.backbone)
    assert all(torch.equal(p.grad, g) for p, g in zip(head.parameters(), expected_head, strict=True))


def test_mixmatch_of_images_of_ones_own() -> None:
    """All images have a label in the signals of the test, so half of them lose theirs."""
    network, other, aligner = small_network(), small_network(), MixMatch(batch=4, unlabelled_weight=20.0)
    parts = aligner.own_module(network)
    signals, fresh = small_step_signals(network=other), small_step_signals(network=network)
    for one in (signals, fresh):
        one.all_pseudo_labels.weights[::2] = 0
    expected = aligner(signals)
    expected.backward()
    torch.randint(2**31 - 1, (), generator=fresh.random)  # the aligner's key of its two parts
    rows = parts(0)

    easy, *views = (fresh.draw_target_images(rows=part) for part in (rows.labelled, rows.unlabelled, rows.unlabelled))
    with torch.no_grad():
        guess = sharpen(torch.stack([network(view).logits.softmax(dim=1) for view in views]).mean(dim=0))
    targets = torch.cat([F.one_hot(rows.labels, guess.shape[1]).float(), guess, guess])
    images, targets = mixmatch_mixup(torch.cat([easy, *views]), targets, 0.75, fresh.random)
    order = passes(3, 4)
    logits = torch.cat([network(images[part]).logits for part in order])[order.flatten().argsort()]
    loss = mixmatch_loss(logits, targets, labelled=4, weight=20.0 / fresh.steps)
    loss.backward()
    assert torch.equal(loss, expected)
    assert_same_gradients(network, other)


def test_entropy_split_labels() -> None:
    bank = small_bank()
    labels, weights = entropy_split_labels(bank.logits)
    expected = build_part("labeler", "entropy-split")(bank)
    assert torch.equal(labels, expected.labels) and torch.equal(weights, expected.weights)


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_rotations(zeros(2, 3, 4, 5), torch.Generator()), "draw_rotations: got images"),
        (lambda: relative_rotation_loss(zeros(3, 4), zeros(2).long()), "relative_rotation_loss: got logits"),
        (lambda: relative_rotation_loss(zeros(3, 2), zeros(3).long()), "relative_rotation_loss has four classes"),
        (lambda: mixmatch_mixup(zeros(3, 2), zeros(2, 2), 0.75, torch.Generator()), "mixmatch_mixup: got images"),
        (lambda: mixmatch_mixup(zeros(3, 2), zeros(3, 2), 0, torch.Generator()), "alpha=0; expected .* alpha above 0"),
        (lambda: mixmatch_loss(zeros(3, 2), zeros(3, 2), 4, 1.0), "labelled is 4, expected from 0 to the 3 rows"),
        (lambda: sharpen(zeros(3, 2), 0), "sharpen: temperature is 0"),
        (lambda: entropy_split_labels(zeros(3)), "entropy_split_labels: got logits"),
    ],
)
def test_mistakes_are_told(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
