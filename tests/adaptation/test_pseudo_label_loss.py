"""The cross-entropy on pseudo-labels that every labeler shares."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfda_kit.adaptation.recipe_method import pseudo_label_loss
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals

seeds = st.integers(0, 2**31 - 1)


def step(seed: int, images: int = 6, classes: int = 4) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return SimpleNamespace(
        target_logits=3 * torch.randn(images, classes, generator=generator, dtype=torch.float64),
        pseudo_labels=torch.randint(classes, (images,), generator=generator),
        pseudo_label_weights=torch.rand(images, generator=generator, dtype=torch.float64),
    )


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_is_the_weighted_mean_of_surprises(seed: int) -> None:
    signals = step(seed)
    rows = zip(
        signals.target_logits.tolist(),
        signals.pseudo_labels.tolist(),
        signals.pseudo_label_weights.tolist(),
        strict=True,
    )
    expected = sum(w * (math.log(sum(math.exp(x) for x in logits)) - logits[y]) for logits, y, w in rows) / 6
    assert pseudo_label_loss(signals).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-20, 20), st.floats(0.1, 10))
def test_neither_order_nor_names_of_classes_nor_a_common_logit_matter_and_weights_scale_it(
    seed: int, shift: float, scale: float
) -> None:
    signals, generator = step(seed), torch.Generator().manual_seed(seed)
    images, classes = torch.randperm(6, generator=generator), torch.randperm(4, generator=generator)
    moved = SimpleNamespace(
        target_logits=(signals.target_logits + shift)[images][:, classes],
        pseudo_labels=classes.argsort()[signals.pseudo_labels[images]],
        pseudo_label_weights=scale * signals.pseudo_label_weights[images],
    )
    torch.testing.assert_close(pseudo_label_loss(moved), scale * pseudo_label_loss(signals))


def test_an_image_without_weight_teaches_nothing() -> None:
    signals = step(0)
    signals.pseudo_label_weights[2] = 0.0
    signals.target_logits.requires_grad_()
    pseudo_label_loss(signals).backward()
    gradient: Tensor = signals.target_logits.grad
    assert not gradient[2].any() and gradient[[0, 1, 3, 4, 5]].any(dim=1).all()


def test_gradcheck() -> None:
    signals = step(1)

    def loss(logits: Tensor) -> Tensor:
        return pseudo_label_loss(SimpleNamespace(**{**vars(signals), "target_logits": logits}))

    assert torch.autograd.gradcheck(loss, signals.target_logits.requires_grad_())


def test_labels_of_a_step_need_no_answer_of_the_network() -> None:
    """A term on mixed images reads them, and BatchNorm must not take in the batch as it was before mixing."""
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    signals = small_step_signals(network=network)
    assert signals.pseudo_labels.shape == signals.pseudo_label_weights.shape
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
