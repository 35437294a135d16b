"""The parts as functions of tensors: in a loop of one's own they are what aligner and labeler are in a run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sfda_kit_socket import bn_statistics_loss, one_round_centroid_labels

from sfda_kit import UserError, build_part, captured_statistics, stored_statistics
from sfda_kit.testing.networks import small_network, small_source_network
from sfda_kit.testing.signals import small_bank, small_step_signals


@pytest.mark.parametrize("options", [{}, {"reduction": "sum", "first_weight": 3.0}])
def test_statistics_of_a_pass_of_ones_own(options: dict[str, Any]) -> None:
    network, other, source = small_network(), small_network(), small_source_network()
    signals = small_step_signals(network=other, source_network=source, reads=("batch_statistics",))
    expected = build_part("aligner", "bn-stats", options)(signals)
    expected.backward()
    with captured_statistics(network) as batch:
        network(small_step_signals().target_images)
    loss = bn_statistics_loss(batch, stored_statistics(source), **options)
    loss.backward()
    assert torch.equal(loss, expected)
    found = [parameter.grad for parameter in network.backbone.stem.parameters()]  # type: ignore[union-attr]
    wanted = [parameter.grad for parameter in other.backbone.stem.parameters()]  # type: ignore[union-attr]
    assert all(torch.equal(a, b) and a.any() for a, b in zip(found[:1], wanted[:1], strict=True))


def test_one_round_centroid_labels() -> None:
    bank = small_bank()
    labels, weights = one_round_centroid_labels(bank.features, bank.logits)
    expected = build_part("labeler", "one-round-centroid")(bank)
    assert torch.equal(labels, expected.labels) and torch.equal(weights, expected.weights)


def test_mistakes_are_told() -> None:
    layers = stored_statistics(small_source_network())
    with pytest.raises(UserError, match="got 1 layers of the batch and 2 of the source model; expected at least one"):
        bn_statistics_loss(layers[:1], layers)
    with pytest.raises(UserError, match="bn_statistics_loss: reduction is 'max'"):
        bn_statistics_loss(layers, layers, "max")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="one_round_centroid_labels: got features"):
        one_round_centroid_labels(torch.zeros(4, 2), torch.zeros(5, 3))
