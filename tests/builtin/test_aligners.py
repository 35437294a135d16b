"""Each loss against a loop written from its formula."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfda_kit.adaptation.information import entropy, information_maximisation
from sfda_kit.builtin.aligners import InfoMax, TiFeatures
from sfda_kit.errors import UserError

seeds = st.integers(0, 2**31 - 1)


def random_probabilities(seed: int, images: int = 5, classes: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, classes, generator=generator, dtype=torch.float64).mul(3).softmax(1)


def naive_information_maximisation(probabilities: list[list[float]], diversity: float = 1.0) -> float:
    def naive_entropy(p: list[float]) -> float:
        return -sum(value * math.log(value + 1e-5) for value in p)

    count = len(probabilities)
    mean = [sum(column) / count for column in zip(*probabilities, strict=True)]
    return sum(naive_entropy(p) for p in probabilities) / count - diversity * naive_entropy(mean)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0, 2))
def test_infomax_is_the_formula(seed: int, diversity: float) -> None:
    p = random_probabilities(seed)
    found = InfoMax(diversity)(SimpleNamespace(target_probabilities=p))
    assert float(found) == pytest.approx(naive_information_maximisation(p.tolist(), diversity), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_infomax_ignores_the_order_of_images(seed: int) -> None:
    p = random_probabilities(seed)
    order = torch.randperm(len(p), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(information_maximisation(p[order]), information_maximisation(p))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_infomax_ignores_the_names_of_classes(seed: int) -> None:
    p = random_probabilities(seed)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(information_maximisation(p[:, order]), information_maximisation(p))


def test_infomax_by_hand() -> None:
    certain_and_spread = torch.eye(4)
    assert float(information_maximisation(certain_and_spread)) == pytest.approx(-math.log(4), abs=1e-4)
    collapsed = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(information_maximisation(collapsed)) == pytest.approx(0.0, abs=1e-6)
    assert float(entropy(torch.full((4,), 0.25))) == pytest.approx(math.log(4), abs=1e-4)


def test_infomax_gradient() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: information_maximisation(x.softmax(1)), logits)


def test_infomax_gradient_of_certain_predictions_is_finite() -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    information_maximisation(logits.softmax(1)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def features(seed: int, images: int = 4, width: int = 6) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(seed)
    adapting, source = torch.randn(2, images, width, generator=generator, dtype=torch.float64)
    return SimpleNamespace(ti_target_features=adapting.requires_grad_(), ti_source_features=source)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_ti_features_are_the_formulas(seed: int) -> None:
    signals = features(seed)
    pairs = zip(signals.ti_target_features.tolist(), signals.ti_source_features.tolist(), strict=True)
    squares = [sum((t - s) ** 2 for t, s in zip(*pair, strict=True)) for pair in pairs]
    assert TiFeatures()(signals).item() == pytest.approx(sum(squares) / (4 * 6))
    assert TiFeatures("rms")(signals).item() == pytest.approx(math.sqrt(sum(squares) / 4))
    assert TiFeatures("frobenius")(signals).item() == pytest.approx(math.sqrt(sum(squares)))


@pytest.mark.parametrize(("reduction", "growth"), [("mean", 1), ("rms", 1), ("frobenius", 2)])
def test_ti_features_and_the_batch_size(reduction: str, growth: float) -> None:
    signals = features(0)
    fourfold = SimpleNamespace(
        ti_target_features=signals.ti_target_features.repeat(4, 1),
        ti_source_features=signals.ti_source_features.repeat(4, 1),
    )
    term = TiFeatures(reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(term(fourfold), growth * term(signals))


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-9, 9), st.floats(0.1, 9), st.sampled_from(["mean", "rms", "frobenius"]))
def test_ti_features_see_neither_order_nor_origin_nor_axes(
    seed: int, shift: float, scale: float, reduction: str
) -> None:
    signals, generator = features(seed), torch.Generator().manual_seed(seed)
    order = torch.randperm(4, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    moved = SimpleNamespace(**{name: scale * (value + shift)[order] @ turn for name, value in vars(signals).items()})
    term = TiFeatures(reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(term(moved), scale ** (2 if reduction == "mean" else 1) * term(signals))


@pytest.mark.parametrize("reduction", ["mean", "rms", "frobenius"])
def test_ti_features_gradient(reduction: str) -> None:
    signals, term = features(1), TiFeatures(reduction)  # type: ignore[arg-type]

    def loss(adapting: torch.Tensor) -> torch.Tensor:
        values = SimpleNamespace(ti_target_features=adapting, ti_source_features=signals.ti_source_features)
        return term(values)

    assert torch.autograd.gradcheck(loss, signals.ti_target_features)


@pytest.mark.parametrize("reduction", ["mean", "rms", "frobenius"])
def test_equal_features_give_no_loss_and_no_nan(reduction: str) -> None:
    same = torch.randn(4, 6)
    signals = SimpleNamespace(ti_target_features=same.clone().requires_grad_(), ti_source_features=same)
    loss = TiFeatures(reduction)(signals)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == 0
    assert signals.ti_target_features.grad.isfinite().all()


def test_wrong_reduction_names_the_right_ones() -> None:
    with pytest.raises(UserError, match=r"reduction is 'sum', expected one of mean, rms, frobenius"):
        TiFeatures("sum")  # type: ignore[arg-type]
