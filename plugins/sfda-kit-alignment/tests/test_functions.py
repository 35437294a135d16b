"""The parts as functions of tensors: in a loop of one's own they are what the aligners are in a run."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sfda_kit_alignment import coral_loss, distillation_loss, domain_adversarial_loss, mmd_loss, reversal_strength
from torch import Tensor

from sfda_kit import UserError, build_part, reverse_gradient
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals


@pytest.mark.parametrize(
    ("name", "function", "signal", "options"),
    [
        ("ti-coral", coral_loss, "features", {}),
        ("ti-mmd", mmd_loss, "features", {}),
        ("ti-mmd", mmd_loss, "features", {"estimator": "unbiased", "bandwidths": [0.5, 2]}),
        ("ti-predictions", distillation_loss, "logits", {}),
        ("ti-predictions", distillation_loss, "logits", {"temperature": 3.0}),
    ],
)
def test_loss_and_gradient_are_those_of_the_aligner(
    name: str, function: Callable[..., Tensor], signal: str, options: dict[str, Any]
) -> None:
    signals = small_step_signals()
    source, seen = getattr(signals, f"ti_source_{signal}"), getattr(signals, f"ti_target_{signal}")
    expected, target = build_part("aligner", name, options)(signals), seen.detach().requires_grad_()
    loss = function(source, target, **options)
    loss.backward()
    assert torch.equal(loss, expected)
    assert torch.equal(target.grad, torch.autograd.grad(expected, seen)[0]) and target.grad.any()


@pytest.mark.parametrize("warm_up", [True, False])
def test_adversarial_loss_from_the_logits_of_a_discriminator(warm_up: bool) -> None:
    halves = torch.randn(2, 5, 6)
    signals = SimpleNamespace(
        progress=0.3, ti_source_features=halves[0], ti_target_features=halves[1].clone().requires_grad_()
    )
    aligner = build_part("aligner", "ti-adversarial", {"warm_up": warm_up, "reversal": 0.7})
    discriminator = aligner.own_module(small_network())
    target = halves[1].clone().requires_grad_()
    strength = reversal_strength(0.3, 0.7) if warm_up else 0.7
    loss = domain_adversarial_loss(discriminator(halves[0]), discriminator(reverse_gradient(target, strength)))
    loss.backward()
    expected = aligner(signals)
    assert torch.equal(loss, expected)
    assert torch.equal(target.grad, torch.autograd.grad(expected, signals.ti_target_features)[0]) and target.grad.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: coral_loss(torch.zeros(4, 3), torch.zeros(4, 2)),
            r"coral_loss: got source_features of shape \(4, 3\)",
        ),
        (lambda: mmd_loss(torch.zeros(4, 3), torch.zeros(5, 3)), "mmd_loss: got source_features"),
        (lambda: mmd_loss(*torch.zeros(2, 4, 3), "fair"), "mmd_loss: estimator is 'fair'"),  # type: ignore[arg-type]
        (lambda: coral_loss(torch.zeros(1, 3), torch.zeros(4, 3)), "coral_loss .* at least 2 TI pairs"),
    ],
)
def test_mistakes_are_told(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
