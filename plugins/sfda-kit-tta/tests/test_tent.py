"""TENT against one step taken by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tta.adabn import AdaBn
from sfda_kit_tta.online import OnlineAnswers
from sfda_kit_tta.tent import Tent, mean_entropy, modulated_layers
from torch import nn

from sfda_kit import AdaptConfig, EpochState, Network, UserError, fill_bank
from sfda_kit.testing import MethodConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_target


class TestTent(MethodConformance):
    name = "tent"


class TestTentPasses(MethodConformance):
    name = "tent"
    options: ClassVar = {"passes": 3, "optimizer": "sgd"}


def layer_norm_network() -> Network:
    """The small network with GroupNorm and LayerNorm in its backbone."""
    network = small_network(batch_norm=False)
    network.backbone.stem[1] = nn.GroupNorm(1, 4)  # type: ignore[index, operator]
    network.backbone.stage[1] = nn.LayerNorm([8, 4, 4])  # type: ignore[index, operator]
    return network


def run(folder: Path, tent: Tent, network: Network | None = None, size: int = 100) -> tuple[Network, EpochState]:
    config = AdaptConfig(batch_size=size, evaluation_batch_size=100)
    context = small_context(folder, config=config, network=network or small_network())
    return context.network, list(tent.adapt(context))[-1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_entropy_is_the_papers(seed: int) -> None:
    logits = 3 * torch.randn(4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = 0.0
    for row in logits.tolist():
        total = sum(math.exp(value) for value in row)
        expected -= sum(math.exp(v) / total * math.log(math.exp(v) / total) for v in row) / 4
    assert mean_entropy(logits).item() == pytest.approx(expected)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    assert mean_entropy(logits[order]).item() == pytest.approx(expected)


def test_entropy_of_the_certain_and_the_undecided() -> None:
    assert mean_entropy(torch.tensor([[1e4, 0.0, 0.0]])).item() == 0
    assert mean_entropy(torch.zeros(2, 4)).item() == pytest.approx(math.log(4))


def test_gradcheck() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mean_entropy, (logits,))


def test_one_batch_is_one_step_by_hand_and_answered_before_it(tmp_path: Path) -> None:
    """The first step with Nesterov momentum 0.9 is -1.9 lr times the gradient."""
    network, state = run(tmp_path, Tent(optimizer="sgd", lr=0.1))
    by_hand = small_network().train()
    answers = by_hand(small_target().batch(torch.arange(12)))
    mean_entropy(answers.logits).backward()
    torch.testing.assert_close(state.bank.logits, answers.logits.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state.bank.features, answers.features.detach(), rtol=1e-4, atol=1e-4)
    norms = {name for name, module in by_hand.named_modules() if hasattr(module, "running_mean")}
    assert len(norms) == 3
    for name, parameter in by_hand.named_parameters():
        step = 0.19 * parameter.grad if name.rpartition(".")[0] in norms else 0.0
        found = network.get_parameter(name).detach()
        torch.testing.assert_close(found, parameter.detach() - step, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [small_network, layer_norm_network])
def test_only_scale_and_shift_change(tmp_path: Path, build) -> None:
    network, _ = run(tmp_path, Tent(lr=0.01), build(), size=4)
    before = build().state_dict()
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    norms = {name for name, module in network.named_modules() if isinstance(module, kinds)}
    assert len(norms) == 3
    state = network.state_dict()
    changed = {name for name in state if not torch.equal(state[name], before[name])}
    parameters = {name for name in changed if not name.rpartition(".")[2].startswith("running_")}
    assert parameters == {f"{norm}.{part}" for norm in norms for part in ("weight", "bias")}
    assert {name.rpartition(".")[0] for name in changed} == norms


def test_entropy_falls_from_pass_to_pass(tmp_path: Path) -> None:
    context = small_context(tmp_path, config=AdaptConfig(batch_size=6))
    entropies = [float(mean_entropy(state.bank.logits)) for state in Tent(passes=5, lr=0.01).adapt(context)]
    assert entropies[-1] < entropies[0]


def test_frozen_state_has_the_targets_statistics(tmp_path: Path) -> None:
    network, state = run(tmp_path / "tent", Tent(lr=0.05), size=4)
    frozen = {name: value.clone() for name, value in network.state_dict().items()}
    (again,) = AdaBn().adapt(small_context(tmp_path, network=network, config=AdaptConfig(evaluation_batch_size=100)))
    assert all(torch.equal(value, frozen[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(fill_bank(state.model, small_target()).logits, again.bank.logits)


def test_transductive_answers_are_not_those_of_the_frozen_state(tmp_path: Path) -> None:
    _, state = run(tmp_path, Tent(lr=0.05), size=4)
    assert not torch.allclose(state.bank.logits, fill_bank(state.model, small_target()).logits, atol=1e-3)


@pytest.mark.parametrize("size", [2, 5, 7, 100])
def test_every_image_is_answered_once_whatever_the_batch(tmp_path: Path, monkeypatch, size: int) -> None:
    seen: list[int] = []
    write = OnlineAnswers.write

    def counted(self, rows, output):
        seen.extend(rows.tolist())
        write(self, rows, output)

    monkeypatch.setattr(OnlineAnswers, "write", counted)
    run(tmp_path, Tent(), size=size)
    assert sorted(seen) == list(range(12))
    assert seen != sorted(seen)


def test_it_says_what_is_scored(tmp_path: Path) -> None:
    told: list[str] = []
    context = small_context(tmp_path, listener=lambda event: told.append(str(event.data.get("text"))))
    list(Tent().adapt(context))
    assert any("transductive figures are those of the answers given during the pass" in text for text in told)


def test_batch_norm_is_preferred_and_the_bottleneck_belongs_to_it() -> None:
    network = small_network()
    network.backbone.stem.append(nn.LayerNorm([4, 8, 8]))  # type: ignore[operator, union-attr]
    assert all(hasattr(layer, "running_mean") for layer in modulated_layers(network))
    assert len(modulated_layers(network)) == 3


def test_backbone_without_any_norm_is_refused_with_a_reason() -> None:
    with pytest.raises(UserError, match=r"this backbone has none.*convnext_atto.*method t3a"):
        Tent().check(small_network(batch_norm=False))


def test_one_image_is_no_batch(tmp_path: Path) -> None:
    context = small_context(tmp_path, target=small_target(images=1))
    with pytest.raises(UserError, match=r"tent takes statistics.*got 1"):
        list(Tent().adapt(context))


@pytest.mark.parametrize("options", [{"passes": 0}, {"optimizer": "adamw"}, {"lr": 0.0}])
def test_wrong_options_are_named(options) -> None:
    with pytest.raises(UserError, match=r"tent: got passes=.*passes of at least 1, optimizer one of adam, sgd"):
        Tent(**options)


def test_rates_are_the_papers() -> None:
    assert (Tent().lr, Tent(optimizer="sgd").lr, Tent(lr=0.5).lr) == (1e-3, 2.5e-4, 0.5)
