"""L_KL against a loop written from its formula."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tgkt.affine import Affine
from sfda_kit_tgkt.distill import Distill

from sfda_kit import UserError
from sfda_kit.testing.signals import small_step_signals


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(x / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.5, 4))
def test_is_the_formula(seed: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    teacher, target = 3 * torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    expected = 0.0
    for s_row, t_row in zip(teacher.tolist(), target.tolist(), strict=True):
        pairs = zip(softmax(s_row, temperature), softmax(t_row, temperature), strict=True)
        expected += sum(s * math.log(s / t) for s, t in pairs) / 5
    found = Distill(temperature)(SimpleNamespace(teacher_logits=teacher, target_logits=target))
    assert found.item() == pytest.approx(temperature**2 * expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(-20, 20))
def test_neither_order_nor_names_of_classes_nor_a_common_logit_matter(seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    teacher, target = 3 * torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    images, classes = torch.randperm(5, generator=generator), torch.randperm(4, generator=generator)
    straight = Distill()(SimpleNamespace(teacher_logits=teacher, target_logits=target))
    moved = SimpleNamespace(
        teacher_logits=(teacher - shift)[images][:, classes], target_logits=(target + shift)[images][:, classes]
    )
    torch.testing.assert_close(Distill()(moved), straight)
    assert straight.item() >= 0


def test_no_gradient_reaches_the_teacher() -> None:
    teacher, target = torch.randn(2, 5, 4).unbind()
    teacher.requires_grad_()
    target.requires_grad_()
    Distill()(SimpleNamespace(teacher_logits=teacher, target_logits=target)).backward()
    assert teacher.grad is None
    assert target.grad is not None


def test_agreement_costs_nothing() -> None:
    logits = torch.randn(5, 4)
    found = Distill()(SimpleNamespace(teacher_logits=logits, target_logits=logits))
    assert found.item() == pytest.approx(0.0, abs=1e-6)


def test_gradcheck() -> None:
    teacher = torch.randn(3, 4, dtype=torch.float64)
    target = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return Distill(2.0)(SimpleNamespace(teacher_logits=teacher, target_logits=logits))

    assert torch.autograd.gradcheck(loss, target)


def test_teacher_sees_bridged_images_and_the_student_does_not() -> None:
    bridge = Affine()
    torch.nn.init.normal_(bridge.mix.weight)
    plain = small_step_signals()
    bridged = small_step_signals(bridges={"input": torch.nn.Identity(), "teacher": bridge})
    assert torch.equal(plain.target_logits, bridged.target_logits)
    assert not torch.equal(plain.teacher_logits, bridged.teacher_logits)


def test_bad_temperature_is_a_user_error() -> None:
    with pytest.raises(UserError, match="expected a number greater than 0"):
        Distill(temperature=0)
