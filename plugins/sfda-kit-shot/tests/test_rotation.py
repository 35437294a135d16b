"""Relative rotation against a loop, and what its gradients and statistics reach."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.rotation import RelativeRotation, turn
from torch import Tensor, nn

from sfda_kit import Network
from sfda_kit.testing import AlignerConformance
from sfda_kit.testing.networks import SmallBackbone, small_network
from sfda_kit.testing.signals import small_step_signals


class TestRelativeRotation(AlignerConformance):
    name = "relative-rotation"


def term(network: Any = None) -> RelativeRotation:
    torch.manual_seed(0)
    found = RelativeRotation()
    found.own_module(network or small_network())
    return found


def naive_turn(image: Tensor, quarters: int) -> Tensor:
    """One quarter anticlockwise: what was in the last column comes to the top row."""
    size = image.shape[-1]
    for _ in range(quarters):
        turned = image.clone()
        for row in range(size):
            for column in range(size):
                turned[:, row, column] = image[:, column, size - 1 - row]
        image = turned
    return image


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 2**31 - 1))
def test_each_image_is_turned_by_its_own_quarters(quarters: list[int], seed: int) -> None:
    images = torch.randn(len(quarters), 2, 4, 4, generator=torch.Generator().manual_seed(seed))
    expected = torch.stack([naive_turn(image, number) for image, number in zip(images, quarters, strict=True)])
    assert torch.equal(turn(images, torch.tensor(quarters)), expected)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_turned_back_an_image_is_itself(quarters: list[int]) -> None:
    images, forth = torch.rand(3, 3, 5, 5), torch.tensor(quarters)
    assert torch.equal(turn(turn(images, forth), (4 - forth) % 4), images)


def test_loss_is_the_papers() -> None:
    network = small_network()
    rotation, signals = term(), small_step_signals(network=network)
    found = rotation(signals)
    fresh = small_step_signals(network=small_network())
    quarters = torch.randint(4, (12,), generator=fresh.random)
    turned = torch.stack([naive_turn(x, int(z)) for x, z in zip(fresh.target_images, quarters, strict=True)])
    plain, other = small_network()(fresh.target_images).features, small_network()(turned).features
    expected = 0.0
    for i, z in enumerate(quarters.tolist()):
        logits = rotation.head(torch.cat([plain[i], other[i]]))
        expected -= logits.log_softmax(0)[z].item() / 12
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert set(quarters.tolist()) == {0, 1, 2, 3}


def test_a_head_that_cannot_tell_gives_log_four() -> None:
    rotation = term()
    for parameter in rotation.head.parameters():
        nn.init.zeros_(parameter)
    assert rotation(small_step_signals()).item() == pytest.approx(math.log(4))


def test_the_head_begins_as_the_papers() -> None:
    """Weights from a normal distribution of variance 2 / (inputs + outputs), bias 0."""
    head = term(Network(SmallBackbone(), SmallBackbone.num_features, 2000, 3)).head
    assert head.weight.shape == (4, 4000) and not head.bias.any()
    assert head.weight.std().item() == pytest.approx(math.sqrt(2 / 4004), rel=0.02)
    assert head.weight.abs().max() > 3 * head.weight.std()  # no uniform distribution reaches as far


def test_running_statistics_take_in_the_batch_again_and_the_turned_one() -> None:
    """With the pass of the other terms that is three passes: upright, upright, turned."""
    network, reference = small_network(), small_network()
    signals, fresh = small_step_signals(network=network), small_step_signals()
    _ = signals.target_logits
    term()(signals)
    quarters = torch.randint(4, (12,), generator=fresh.random)
    for images in (fresh.target_images, fresh.target_images, turn(fresh.target_images, quarters)):
        reference(images)
    for found, expected in zip(network.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_network_in_evaluation_mode_stays_as_it_is() -> None:
    network = small_network().eval().requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rotation = term()
    rotation(small_step_signals(network=network)).backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is not None and p.grad.any() for p in rotation.head.parameters())


def test_the_gradient_comes_through_the_turned_copy_alone() -> None:
    """It equals that of the cross-entropy with the upright features held as constants."""
    network, reference = small_network(), small_network()
    rotation, signals = term(), small_step_signals(network=network)
    rotation(signals).backward()
    fresh = small_step_signals(network=reference)
    quarters = torch.randint(4, (12,), generator=fresh.random)
    with torch.no_grad():
        upright = small_network()(fresh.target_images).features
    turned = reference(turn(fresh.target_images, quarters)).features
    F.cross_entropy(rotation.head(torch.cat([upright, turned], 1)), quarters).backward()
    found = [p.grad for p in network.parameters() if p.grad is not None]
    expected = [p.grad for p in reference.parameters() if p.grad is not None]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_steps_down_teach_the_network_to_tell() -> None:
    """Images that are brighter at the top tell how they are turned."""
    network = small_network()
    rotation = term(network)
    generator = torch.Generator().manual_seed(0)
    images = torch.linspace(2, -2, 16)[:, None] + 0.1 * torch.randn(12, 3, 16, 16, generator=generator)
    optimizer = torch.optim.Adam([*network.parameters(), *rotation.head.parameters()], lr=0.02)
    losses = []
    for seed in range(80):
        signals = small_step_signals(seed, network=network)
        signals._images.target_images = images
        loss = rotation(signals)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(losses[-5:]) / 5 < 0.3 < losses[0]
