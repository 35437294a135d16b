"""The TGMB objective against loops written from its formulas."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tgkt.affine import Affine
from sfda_kit_tgkt.objective import TgmbObjective, features, infomax, reconstruction
from sfda_kit_tgkt.recipes import TGMB_PAPER
from sfda_kit_tgkt.unet import UNet
from torch import Tensor, nn

from sfda_kit import shallow_width
from sfda_kit.models.shallow import shallow_features
from sfda_kit.testing.networks import small_source_network
from sfda_kit.testing.signals import small_bridge_signals

CHANNELS = shallow_width(small_source_network())


def objective(reversal: float = 1.0, dtype: torch.dtype = torch.float32) -> TgmbObjective:
    torch.manual_seed(0)
    return TgmbObjective(small_source_network(), reversal).to(dtype)


def maps(seed: int = 0, dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    real, bridged = torch.randn(2, 5, CHANNELS, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return SimpleNamespace(ti_source_maps=real, bridged_target_maps=bridged.requires_grad_())


def test_reconstruction_is_the_mean_of_squares() -> None:
    bridged, wanted = torch.randn(2, 2, 3, 2, 2)
    pairs = zip(bridged.flatten().tolist(), wanted.flatten().tolist(), strict=True)
    expected = sum((t - a) ** 2 for t, a in pairs) / bridged.numel()
    found = reconstruction(SimpleNamespace(bridged_ti_images=bridged, ti_source_images=wanted))
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_features_are_a_relative_error(scale: float) -> None:
    bridged, wanted = scale * torch.randn(2, 4, 6)
    expected = sum((t - a) ** 2 for t, a in zip(bridged.flatten().tolist(), wanted.flatten().tolist(), strict=True))
    expected /= sum(a**2 for a in wanted.flatten().tolist())
    found = features(SimpleNamespace(bridged_ti_features=bridged, ti_source_features=wanted))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_features_without_any_content_have_error_one() -> None:
    wanted = torch.randn(4, 6)
    signals = SimpleNamespace(bridged_ti_features=torch.zeros(4, 6), ti_source_features=wanted)
    assert features(signals).item() == pytest.approx(1.0)


def halves(seed: int) -> Any:
    """What the terms on pairs and on logits read, in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return SimpleNamespace(
        bridged_ti_images=drawn(4, 3, 2, 2),
        ti_source_images=drawn(4, 3, 2, 2),
        bridged_ti_features=drawn(4, 6),
        ti_source_features=drawn(4, 6),
        bridged_target_logits=drawn(4, 5),
        bridged_target_maps=drawn(4, CHANNELS, 3, 3),
        ti_source_maps=drawn(4, CHANNELS, 3, 3),
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_order_of_images_does_not_matter_to_any_term(seed: int) -> None:
    signals, terms = halves(seed), objective(dtype=torch.float64).terms()
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    shuffled: Any = SimpleNamespace(**{name: value[order] for name, value in vars(signals).items()})
    for term in terms.values():
        torch.testing.assert_close(term(shuffled), term(signals))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(1e-3, 1e3))
def test_features_see_neither_scale_nor_axes(seed: int, scale: float) -> None:
    signals = halves(seed)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    moved: Any = SimpleNamespace(
        bridged_ti_features=scale * signals.bridged_ti_features @ turn,
        ti_source_features=scale * signals.ti_source_features @ turn,
    )
    torch.testing.assert_close(features(moved), features(signals))


@pytest.mark.parametrize(
    ("term", "read"),
    [
        ("reconstruction", "bridged_ti_images"),
        ("features", "bridged_ti_features"),
        ("infomax", "bridged_target_logits"),
        ("adversarial", "bridged_target_maps"),
    ],
)
def test_gradcheck(term: str, read: str) -> None:
    """Of the adversarial term with its reversal undone."""
    signals, terms = halves(1), objective(reversal=-1.0, dtype=torch.float64).terms()

    def loss(values: Tensor) -> Tensor:
        given_values: Any = SimpleNamespace(**{**vars(signals), read: values})
        return terms[term](given_values)

    assert torch.autograd.gradcheck(loss, getattr(signals, read).requires_grad_())


def test_infomax_by_hand() -> None:
    found = infomax(SimpleNamespace(bridged_target_logits=50 * torch.eye(3)))
    assert found.item() == pytest.approx(-math.log(3), abs=1e-4)


def test_adversarial_is_the_cross_entropy_of_the_discriminator() -> None:
    terms, signals = objective(), maps()

    def mean_loss(values: Tensor, is_real: bool) -> float:
        logits = terms.discriminator(values).flatten().tolist()
        right = [1 / (1 + math.exp(-x if is_real else x)) for x in logits]
        return -sum(math.log(p) for p in right) / len(right)

    expected = (mean_loss(signals.ti_source_maps, True) + mean_loss(signals.bridged_target_maps, False)) / 2
    assert terms.adversarial(signals).item() == pytest.approx(expected, rel=1e-5)


def test_indifferent_discriminator_gives_log_two() -> None:
    terms = objective()
    nn.init.zeros_(terms.discriminator[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(terms.discriminator[-1].bias)  # type: ignore[arg-type]
    assert terms.adversarial(maps()).item() == pytest.approx(math.log(2))


def gradients(reversal: float) -> tuple[Tensor, Tensor]:
    """Of the bridged maps and of the discriminator's first weight."""
    terms, signals = objective(reversal, torch.float64), maps(dtype=torch.float64)
    terms.adversarial(signals).backward()
    return signals.bridged_target_maps.grad, terms.discriminator[0].weight.grad


def test_reversal_turns_the_bridges_gradient_and_not_the_discriminators() -> None:
    plain_bridge, plain_discriminator = gradients(reversal=-1.0)  # -(-1) = +1: an ordinary gradient
    bridge, discriminator = gradients(reversal=2.5)
    torch.testing.assert_close(bridge, -2.5 * plain_bridge)
    torch.testing.assert_close(discriminator, plain_discriminator)


def test_one_descent_step_helps_the_discriminator_and_harms_it_through_the_maps() -> None:
    terms, signals = objective(dtype=torch.float64), maps(dtype=torch.float64)
    before = terms.adversarial(signals)
    before.backward()
    with torch.no_grad():
        moved = SimpleNamespace(
            ti_source_maps=signals.ti_source_maps,
            bridged_target_maps=signals.bridged_target_maps - 0.1 * signals.bridged_target_maps.grad,
        )
        assert terms.adversarial(moved) > before, "T descends its gradient and fools D"
        for parameter in terms.parameters():
            parameter.sub_(0.1 * parameter.grad)  # type: ignore[operator]
        assert terms.adversarial(signals) < before, "D descends its gradient and learns"


@pytest.mark.parametrize("weight", [1e-3, 1.0])
def test_discriminator_learns_at_full_speed_for_any_weight(weight: float) -> None:
    terms = objective()
    optimizer = torch.optim.AdamW(terms.parameters(), lr=1e-2)
    real, bridged = torch.randn(2, 8, CHANNELS, 3, 3)
    signals: Any = SimpleNamespace(ti_source_maps=real + 1, bridged_target_maps=bridged - 1)
    for _ in range(30):
        optimizer.zero_grad()
        (weight * terms.adversarial(signals)).backward()
        optimizer.step()
    assert terms.adversarial(signals).item() < 0.2


def test_discriminator_sees_the_shallow_maps_of_the_frozen_source() -> None:
    source = small_source_network()
    signals = small_bridge_signals(Affine(), source_network=source)
    expected, _ = shallow_features(source, signals.ti_source_images)
    assert torch.equal(signals.ti_source_maps, expected)
    assert not signals.ti_source_maps.requires_grad
    assert signals.bridged_target_maps.requires_grad
    assert shallow_width(source) == expected.shape[1]


def test_papers_objective_has_no_feature_term() -> None:
    bridge = TGMB_PAPER.input_bridge
    assert (bridge.name, bridge.objective) == ("fcbnconv", {"features": 0.0})


def test_training_recovers_a_known_translation() -> None:
    """On pairs whose halves show the same scene, the reconstruction error falls to a fraction."""
    torch.manual_seed(0)
    bridge = UNet(width=8, levels=2)
    signals = small_bridge_signals(bridge)
    start = reconstruction(signals).item()
    optimizer = torch.optim.AdamW(bridge.parameters(), lr=2e-2)
    for _ in range(12):
        optimizer.zero_grad()
        loss = reconstruction(small_bridge_signals(bridge))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.8 * start
