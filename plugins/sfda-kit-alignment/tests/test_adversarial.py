"""The discriminator of ``ti-adversarial``: its loss, its reversal, and that the loop trains and keeps it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_alignment.adversarial import TiAdversarial
from torch import Tensor, nn

from sfda_kit import AdaptedModel, Recipe, RecipeMethod, UserError
from sfda_kit.adaptation.recipe_method import PhaseTraining
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network

RECIPE = Recipe.model_validate({"aligners": {"infomax": 1.0, "ti-adversarial": 1.0}})
NAME = "aligner ti-adversarial"


def term(**options: Any) -> TiAdversarial:
    torch.manual_seed(0)
    found = TiAdversarial(**options)
    found.own_module(small_network()).double()
    return found


def signals(progress: float = 0.5, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    values = {"ti_source_features": source, "ti_target_features": target.requires_grad_()}
    return SimpleNamespace(progress=progress, **values)


def test_is_the_cross_entropy_of_the_discriminator() -> None:
    step, adversarial = signals(), term()

    def mean_loss(values: Tensor, is_source: bool) -> float:
        logits = adversarial.discriminator(values).flatten().tolist()
        right = [1 / (1 + math.exp(-x if is_source else x)) for x in logits]
        return -sum(math.log(p) for p in right) / len(right)

    expected = (mean_loss(step.ti_source_features, True) + mean_loss(step.ti_target_features, False)) / 2
    assert adversarial(step).item() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_neither_the_order_of_pairs_nor_which_halves_belong_together_matters(seed: int) -> None:
    step, adversarial = signals(seed=seed), term()
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    moved = SimpleNamespace(**{**vars(step), "ti_target_features": step.ti_target_features[order]})
    torch.testing.assert_close(adversarial(moved), adversarial(step))
    assert adversarial(step).item() >= 0


def test_indifferent_discriminator_gives_log_two() -> None:
    adversarial = term()
    for parameter in adversarial.discriminator[-1].parameters():  # type: ignore[index]
        nn.init.zeros_(parameter)
    assert adversarial(signals()).item() == pytest.approx(math.log(2))


def gradients(progress: float, **options: Any) -> tuple[Tensor, Tensor]:
    """Of the adapting features and of the discriminator's first weight."""
    adversarial, step = term(**options), signals(progress)
    adversarial(step).backward()
    return step.ti_target_features.grad, adversarial.discriminator[0].weight.grad  # type: ignore[index]


def test_the_reversal_rises_and_the_discriminator_learns_throughout() -> None:
    full, discriminator = gradients(0.3, warm_up=False)
    for progress in (0.0, 0.1, 0.7):
        features, same = gradients(progress, reversal=2.0)
        rise = 2 / (1 + math.exp(-10 * progress)) - 1
        torch.testing.assert_close(features, 2 * rise * full)
        torch.testing.assert_close(same, discriminator)


def test_a_descent_step_of_the_features_fools_the_discriminator() -> None:
    adversarial, step = term(warm_up=False), signals()
    before = adversarial(step)
    before.backward()
    moved = step.ti_target_features - 0.1 * step.ti_target_features.grad
    assert adversarial(SimpleNamespace(**{**vars(step), "ti_target_features": moved.detach()})) > before


def test_gradient_is_that_of_the_loss_but_for_its_sign() -> None:
    adversarial, step = term(reversal=1.0, warm_up=False), signals()

    def plain(y: Tensor) -> Tensor:
        real, other = adversarial.discriminator(step.ti_source_features), adversarial.discriminator(y)
        return 0.5 * (nn.functional.softplus(-real).mean() + nn.functional.softplus(other).mean())

    assert torch.autograd.gradcheck(plain, step.ti_target_features)
    (expected,) = torch.autograd.grad(plain(step.ti_target_features), step.ti_target_features)
    adversarial(step).backward()
    torch.testing.assert_close(step.ti_target_features.grad, -expected)


def training(folder: Path, epochs: int = 3) -> PhaseTraining:
    context = small_context(folder, recipe=RECIPE)
    context.config = context.config.model_copy(update={"epochs": epochs})
    model = AdaptedModel(context.input_bridge, context.network)
    return PhaseTraining(context, RECIPE.phases[0], model)


def test_the_phase_trains_it_at_its_own_rate_and_never_saves_it_with_the_model(tmp_path: Path) -> None:
    phase = training(tmp_path)
    discriminator = phase.own_modules[NAME]
    before = [parameter.clone() for parameter in discriminator.parameters()]
    (group,) = [g for g in phase._optimizer().param_groups if len(g["params"]) == len(before)][-1:]
    assert {id(p) for p in group["params"]} == {id(p) for p in discriminator.parameters()}
    assert group["lr"] == phase.context.config.lr
    states = list(phase.run())
    assert any(not torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))
    saved = torch.load(tmp_path / "adapt.pt", weights_only=True)
    assert saved["modules"][NAME].keys() == discriminator.state_dict().keys()
    assert not any("discriminator" in name or "aligner" in name for name in states[-1].model.state_dict())


@pytest.mark.parametrize("stop", [1, 2])
def test_resumed_after_any_epoch_it_is_the_same_bit_for_bit(tmp_path: Path, stop: int) -> None:
    whole = training(tmp_path / "whole")
    expected = list(whole.run())[-1]
    epochs = training(tmp_path / "stopped").run()
    for _ in range(stop + 1):  # the epoch is saved when the next one is asked for
        next(epochs)
    resumed = training(tmp_path / "stopped")
    assert torch.equal(list(resumed.run())[-1].bank.logits, expected.bank.logits)
    pairs = zip(resumed.own_modules[NAME].parameters(), whole.own_modules[NAME].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_two_runs_begin_with_the_same_discriminator_whatever_was_drawn_before(tmp_path: Path) -> None:
    first = training(tmp_path).own_modules[NAME]
    torch.rand(7)
    second = training(tmp_path).own_modules[NAME]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_recipe_without_it_owns_nothing(tmp_path: Path) -> None:
    context = small_context(tmp_path, recipe=Recipe.model_validate({"aligners": {"infomax": 1.0}}))
    phase = PhaseTraining(context, context.recipe.phases[0], AdaptedModel(context.input_bridge, context.network))
    assert phase.own_modules == {}
    list(RecipeMethod().adapt(context))
    assert set(torch.load(tmp_path / "adapt.pt", weights_only=True)["modules"]) == {"network", "labels"}


def test_bad_options_are_told() -> None:
    with pytest.raises(UserError, match="reversal is 0, expected a number greater than 0"):
        TiAdversarial(reversal=0)
    with pytest.raises(UserError, match="hidden is 0, expected at least one unit"):
        TiAdversarial(hidden=0)
