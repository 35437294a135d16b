"""The part as a function of tensors: in a loop of one's own it is what the aligner is in a run."""

from __future__ import annotations

import pytest
import torch
from sfda_kit_tgkt import distillation_loss

from sfda_kit import build_part
from sfda_kit.testing.signals import small_step_signals


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_loss_and_gradient_are_those_of_the_aligner(temperature: float) -> None:
    signals = small_step_signals()
    teacher, student = signals.teacher_logits, signals.target_logits.detach().requires_grad_()
    loss = distillation_loss(teacher, student, temperature)
    loss.backward()
    expected = build_part("aligner", "distill", {"temperature": temperature})(signals)
    assert torch.equal(loss, expected)
    assert torch.equal(student.grad, torch.autograd.grad(expected, signals.target_logits)[0]) and student.grad.any()
