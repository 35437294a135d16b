"""The part as functions of tensors: in a loop of one's own they are what the aligner is in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sfda_kit_plue import contrastive_loss, draw_complementary_labels, neighbour_labels, plue_loss
from sfda_kit_plue.guided_labels import GuidedLabels

from sfda_kit import UserError
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals


@pytest.mark.parametrize("contrast", [0.5, 0.0])
def test_a_step_of_ones_own_is_that_of_the_aligner(contrast: float) -> None:
    """The bank, the queue and the two strong views are those of the aligner; all the rest is done here."""
    network, own = small_network(), small_network()
    term = GuidedLabels(neighbors=3, contrast=contrast, diversity=2.0)
    term.own_module(network)
    signals, fresh = (small_step_signals(network=n, reads=("target_bank",)) for n in (network, own))
    expected = term(signals)

    helper = GuidedLabels(neighbors=3)
    helper.own_module(own)
    helper._begin_epoch(fresh)
    features, logits = fresh.target_features, fresh.target_logits
    labels, weights = neighbour_labels(features, helper.bank.features, helper.bank.probabilities, neighbors=3)
    strong = own(fresh.draw_target_images("strong"))
    wrong = draw_complementary_labels(labels, logits.shape[1], fresh.random)
    weighted = None
    if contrast:
        keys, queries = helper._keys(fresh), F.normalize(strong.features, dim=1)
        is_negative = helper.history.differ(fresh.target_rows, helper.queue.rows)
        weighted = contrast * contrastive_loss(queries, keys, helper.queue.keys, is_negative)
    loss = plue_loss(logits, strong.logits, wrong, weights, weighted, diversity=2.0)
    assert torch.equal(loss, expected)
    loss.backward()
    expected.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(network.parameters(), own.parameters(), strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: neighbour_labels(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4, 2), 5),
            "neighbors is 5, .* 4 entr",
        ),
        (lambda: neighbour_labels(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4, 1), 1), "1 classes, expected two"),
        (lambda: draw_complementary_labels(torch.zeros(2).long(), 1, torch.Generator()), "1 classes, expected two"),
        (
            lambda: contrastive_loss(*torch.ones(2, 4, 3), torch.ones(5, 3), torch.ones(4, 4)),
            "contrastive_loss: got qu",
        ),
        (lambda: plue_loss(torch.ones(4, 3), torch.ones(4, 3), torch.ones(1), torch.ones(4)), "plue_loss: got weak"),
    ],
)
def test_mistakes_are_told(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
