"""The momentum model follows another network and is trained by nobody."""

from __future__ import annotations

import pytest
import torch
from sfda_kit_plue.momentum import MomentumModel

from sfda_kit import Network, frozen_running_statistics
from sfda_kit.testing.networks import SIDE, small_network


def moved(network: Network, by: float) -> Network:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(by)
    return network


def test_it_begins_as_a_copy_of_the_network() -> None:
    network = small_network()
    model = MomentumModel(network, 0.9).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(model(images).logits, network.eval()(images).logits)
    assert model.network is not network and len(list(network.parameters())) > 0


def test_it_has_no_parameters() -> None:
    assert list(MomentumModel(small_network(), 0.9).parameters()) == []


@pytest.mark.parametrize("part", ["backbone", "bottleneck"])
def test_it_is_in_training_mode_where_the_network_is(part: str) -> None:
    network = small_network().eval()
    getattr(network, part).train()
    model = MomentumModel(network, 0.9).train()
    model.follow(network)
    images = torch.randn(4, 3, SIDE, SIDE)
    with frozen_running_statistics(network):
        expected = network(images).logits
    assert torch.equal(model(images).logits, expected)
    assert not torch.equal(expected, network.eval()(images).logits)


def test_weights_are_averaged() -> None:
    network = small_network()
    model = MomentumModel(network, 0.9)
    start = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for _ in range(2):
        model.follow(moved(network, 1.0))
    found = model.network.state_dict()
    for name, value in start.items():
        expected = 0.9 * (0.9 * value + 0.1 * (value + 1)) + 0.1 * (value + 2)
        torch.testing.assert_close(found[name], expected)


def test_running_statistics_are_those_of_its_own_images() -> None:
    network, reference = small_network(), small_network()
    model = MomentumModel(network, 0.9)
    mine, other = torch.randn(4, 3, SIDE, SIDE), torch.randn(4, 3, SIDE, SIDE)
    network(other)
    model.follow(network)
    model(mine)
    reference(mine)
    found = model.network.state_dict()
    for name, value in reference.named_buffers():
        torch.testing.assert_close(found[name], value)


def test_no_gradient_reaches_the_network_it_follows() -> None:
    network = small_network()
    model = MomentumModel(network, 0.0)
    model.follow(network)
    assert not model(torch.randn(2, 3, SIDE, SIDE)).logits.requires_grad


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_its_state_can_be_saved_and_loaded(momentum: float) -> None:
    network = small_network().eval()
    model, fresh = MomentumModel(network, momentum), MomentumModel(small_network(seed=4), momentum)
    model.follow(moved(network, 0.3))
    fresh.load_state_dict(model.state_dict())
    model.eval(), fresh.eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(fresh(images).logits, model(images).logits)
