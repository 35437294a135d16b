"""The parts as functions of tensors: in a loop of one's own they are what aligners and labeler are in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sfda_kit_neighbors import (
    attraction_loss,
    dispersion_loss,
    diversity_loss,
    draw_mixup,
    jmds_labels,
    mixup,
    neighbour_search,
    nrc_loss,
    weighted_mixup_loss,
)
from torch import Tensor

from sfda_kit import UserError, build_part
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_bank, small_step_signals


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("reciprocal-neighbors", nrc_loss, {}),
        ("reciprocal-neighbors", nrc_loss, {"neighbors": 4, "expanded": 1, "variant": "flat"}),
        ("attraction", attraction_loss, {"neighbors": 5}),
        ("diversity", lambda p, *_: diversity_loss(p), {}),
        ("dispersion", lambda p, *_, decay: dispersion_loss(p, 0.0, decay), {"decay": 2.0}),
    ],
)
def test_loss_and_gradient_are_those_of_the_aligner(
    name: str, function: Callable[..., Tensor], options: dict[str, Any]
) -> None:
    signals = small_step_signals(reads=("memory",))
    memory, probabilities = signals.memory, signals.target_probabilities.detach().requires_grad_()
    loss = function(probabilities, signals.target_rows, memory.features, memory.probabilities, **options)
    loss.backward()
    expected = build_part("aligner", name, options)(signals)
    assert torch.equal(loss, expected)
    wanted = torch.autograd.grad(expected, signals.target_probabilities)[0]
    assert torch.equal(probabilities.grad, wanted) and wanted.any()


@pytest.mark.parametrize("alpha", [0.2, 0])
def test_weighted_mixup_of_images_of_ones_own(alpha: float) -> None:
    signals, fresh = small_step_signals(), small_step_signals()
    expected = build_part("aligner", "weighted-mixup", {"alpha": alpha})(signals)
    network, images = small_network(), fresh.target_images
    share, mate = draw_mixup(images, alpha, fresh.random)
    logits = network(mixup(images, share, mate)).logits
    loss = weighted_mixup_loss(logits, fresh.pseudo_labels, fresh.pseudo_label_weights, share, mate)
    loss.backward()
    assert torch.equal(loss, expected)
    assert all(p.grad is not None for p in network.parameters())


def test_jmds_labels() -> None:
    bank = small_bank()
    labels, weights = jmds_labels(bank.features, bank.logits)
    expected = build_part("labeler", "jmds")(bank)
    assert torch.equal(labels, expected.labels) and torch.equal(weights, expected.weights)


def memory(images: int = 6) -> tuple[Tensor, Tensor]:
    return torch.eye(images), torch.full((images, 3), 1 / 3)


BATCH = torch.full((2, 3), 1 / 3), torch.arange(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nrc_loss(BATCH[0], torch.arange(3), *memory()), "nrc_loss: got probabilities"),
        (lambda: nrc_loss(*BATCH, *memory(), variant="flatt"), "nrc_loss: there is no variant 'flatt'"),
        (lambda: nrc_loss(*BATCH, *memory(), neighbors=0), "neighbors is 0, expected a whole number of at least 1"),
        (lambda: attraction_loss(*BATCH, *memory(3)), "neighbors is 3, and with 3 target images"),
        (lambda: dispersion_loss(BATCH[0], decay=-1), "dispersion_loss: decay is -1"),
        (lambda: draw_mixup(torch.zeros(2, 3), -1, torch.Generator()), "draw_mixup: alpha is -1"),
        (lambda: jmds_labels(torch.zeros(4, 2), torch.zeros(5, 3)), "jmds_labels: got features"),
        (lambda: neighbour_search("fais"), "neighbour_search: there is no search 'fais'"),
    ],
)
def test_mistakes_are_told(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
