"""The built-in parts as functions of tensors: in a loop of one's own they are what the parts are in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sfda_kit import (
    UserError,
    build_part,
    centroid_labels,
    check_shapes,
    distillation_loss,
    domain_adversarial_loss,
    domain_loss,
    feature_matching_loss,
    information_maximisation,
    reverse_gradient,
    softened_divergence,
)
from sfda_kit.errors import RenamedWarning
from sfda_kit.testing.signals import small_bank, small_step_signals


@pytest.mark.parametrize("diversity", [1.0, 0.3])
def test_information_maximisation(diversity: float) -> None:
    signals = small_step_signals()
    probabilities = signals.target_probabilities.detach().requires_grad_()
    loss = information_maximisation(probabilities, diversity)
    expected = build_part("aligner", "infomax", {"diversity": diversity})(signals)
    assert torch.equal(loss, expected)
    assert_same_gradient(loss, probabilities, expected, signals.target_probabilities)


@pytest.mark.parametrize("reduction", ["mean", "rms", "frobenius"])
def test_feature_matching(reduction: Any) -> None:
    signals = small_step_signals()
    source, target = signals.ti_source_features, signals.ti_target_features.detach().requires_grad_()
    loss = feature_matching_loss(source, target, reduction)
    expected = build_part("aligner", "ti-features", {"reduction": reduction})(signals)
    assert torch.equal(loss, expected)
    assert_same_gradient(loss, target, expected, signals.ti_target_features)


def assert_same_gradient(loss: Tensor, argument: Tensor, expected: Tensor, signal: Tensor) -> None:
    (found,), (wanted,) = torch.autograd.grad(loss, argument), torch.autograd.grad(expected, signal)
    assert torch.equal(found, wanted) and found.any()


@pytest.mark.parametrize("options", [{}, {"rounds": 1}, {"rounds": 3, "metric": "euclidean"}])
def test_centroid_labels(options: dict[str, Any]) -> None:
    bank = small_bank()
    labels, weights = centroid_labels(bank.features, bank.logits, **options)
    expected = build_part("labeler", "centroid", options)(bank)
    assert torch.equal(labels, expected.labels) and torch.equal(weights, expected.weights)


def test_adversarial_loss_of_logits_is_that_of_the_discriminator() -> None:
    source, target = torch.randn(5, 4), torch.randn(7, 4, requires_grad=True)
    discriminator = torch.nn.Linear(4, 1)
    loss = domain_adversarial_loss(discriminator(source), discriminator(reverse_gradient(target, 0.5)))
    expected = domain_loss(discriminator, source, target, 0.5)
    assert torch.equal(loss, expected)
    assert_same_gradient(loss, target, expected, target)


def test_the_former_name_of_the_distillation_loss_works_and_says_the_new_one() -> None:
    teacher, student = torch.randn(2, 5, 3)
    with pytest.warns(RenamedWarning, match="called distillation_loss now"):
        found = softened_divergence(teacher, student, 2.0)
    assert torch.equal(found, distillation_loss(teacher, student, 2.0))


def test_equal_letters_are_equal_sizes() -> None:
    check_shapes("f", a=(torch.zeros(2, 3), "B D"), b=(torch.zeros(2), "B"))
    with pytest.raises(UserError, match=r"f: got a of shape \(2, 3\), b of shape \(3,\); expected \(B, D\), \(B\)"):
        check_shapes("f", a=(torch.zeros(2, 3), "B D"), b=(torch.zeros(3), "B"))
    with pytest.raises(UserError, match="f: got a of shape"):
        check_shapes("f", a=(torch.zeros(2, 3), "B"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distillation_loss(torch.zeros(5, 3), torch.zeros(1, 3)), "distillation_loss: got teacher_logits"),
        (lambda: distillation_loss(torch.zeros(5, 3), torch.zeros(5, 3), 0), "temperature is 0"),
        (
            lambda: feature_matching_loss(torch.zeros(5, 3), torch.zeros(3)),
            "feature_matching_loss: got source_features",
        ),
        (lambda: feature_matching_loss(*torch.zeros(2, 5, 3), "sum"), "reduction is 'sum', expected one of mean"),  # type: ignore[arg-type]
        (lambda: information_maximisation(torch.zeros(3)), "information_maximisation: got probabilities of shape"),
        (lambda: centroid_labels(torch.zeros(5, 2), torch.zeros(4, 3)), "centroid_labels: got features of shape"),
        (lambda: centroid_labels(torch.zeros(5, 2), torch.zeros(5, 3), rounds=0), "centroid_labels: got rounds=0"),
    ],
)
def test_what_torch_would_broadcast_or_misread_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
