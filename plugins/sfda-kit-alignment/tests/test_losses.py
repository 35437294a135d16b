"""Each loss against a loop written from its formula; what must not matter does not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_alignment.coral import TiCoral
from sfda_kit_alignment.mmd import TiMmd
from sfda_kit_alignment.predictions import TiPredictions
from torch import Tensor

from sfda_kit import Aligner, UserError

seeds = st.integers(0, 2**31 - 1)
TERMS: list[Callable[[], Aligner]] = [TiPredictions, TiCoral, TiMmd, lambda: TiMmd("unbiased")]
DISTRIBUTIONS = TERMS[1:]


def signals(seed: int, pairs: int = 5, width: int = 3) -> Any:
    """Random features and logits of the two halves in double precision."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(4, pairs, width, generator=generator, dtype=torch.float64)
    return of(*values.unbind())


def of(source: Tensor, target: Tensor, source_logits: Tensor | None = None, target_logits: Tensor | None = None) -> Any:
    return SimpleNamespace(
        ti_source_features=source,
        ti_target_features=target,
        ti_source_logits=source if source_logits is None else source_logits,
        ti_target_logits=target if target_logits is None else target_logits,
    )


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(x / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.5, 4))
def test_predictions_are_the_formula(seed: int, temperature: float) -> None:
    step = signals(seed)
    expected = 0.0
    for s_row, t_row in zip(step.ti_source_logits.tolist(), step.ti_target_logits.tolist(), strict=True):
        pairs = zip(softmax(s_row, temperature), softmax(t_row, temperature), strict=True)
        expected += sum(s * math.log(s / t) for s, t in pairs) / 5
    found = TiPredictions(temperature)(step)
    assert found.item() == pytest.approx(temperature**2 * expected, abs=1e-9)


def square(u: list[float], v: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(u, v, strict=True))


def naive_mmd(x: list[list[float]], y: list[list[float]], factors: list[float], is_biased: bool) -> float:
    points, n = x + y, len(x)
    below = sorted(square(points[i], points[j]) for i in range(2 * n) for j in range(i))
    median = statistics.median_low(below)

    def kernel(u: list[float], v: list[float]) -> float:
        return sum(math.exp(-square(u, v) / (2 * f * median)) for f in factors) / len(factors)

    total = 0.0
    for i in range(n):
        for j in range(n):
            if is_biased or i != j:
                total += kernel(x[i], x[j]) + kernel(y[i], y[j]) - 2 * kernel(x[i], y[j])
    return total / (n * n if is_biased else n * (n - 1))


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 6), st.lists(st.floats(0.1, 5), min_size=1, max_size=3), st.booleans())
def test_mmd_is_the_formula(seed: int, pairs: int, factors: list[float], is_biased: bool) -> None:
    step = signals(seed, pairs)
    expected = naive_mmd(step.ti_source_features.tolist(), step.ti_target_features.tolist(), factors, is_biased)
    found = TiMmd("biased" if is_biased else "unbiased", factors)(step)
    assert found.item() == pytest.approx(expected, abs=1e-9)


def naive_covariance(rows: list[list[float]]) -> list[list[float]]:
    n, width = len(rows), len(rows[0])
    means = [sum(row[k] for row in rows) / n for k in range(width)]
    return [
        [sum((row[k] - means[k]) * (row[m] - means[m]) for row in rows) / (n - 1) for m in range(width)]
        for k in range(width)
    ]


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 6))
def test_coral_is_the_formula(seed: int, pairs: int) -> None:
    step = signals(seed, pairs)
    both = [naive_covariance(half.tolist()) for half in (step.ti_source_features, step.ti_target_features)]
    squares = sum(square(a, b) for a, b in zip(*both, strict=True))
    assert TiCoral()(step).item() == pytest.approx(squares / (4 * 3**2), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds)
@pytest.mark.parametrize("make", TERMS)
def test_order_of_the_pairs_does_not_matter(make: Callable[[], Aligner], seed: int) -> None:
    step, order = signals(seed), torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    shuffled = SimpleNamespace(**{name: value[order] for name, value in vars(step).items()})
    torch.testing.assert_close(make()(shuffled), make()(step))


@settings(max_examples=25, deadline=None)
@given(seeds)
@pytest.mark.parametrize("make", [TiCoral, TiMmd])
def test_which_halves_belong_together_does_not_matter_to_distributions(make: Callable[[], Aligner], seed: int) -> None:
    step, order = signals(seed), torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(make()(of(step.ti_source_features, step.ti_target_features[order])), make()(step))


@settings(max_examples=25, deadline=None)
@given(seeds)
@pytest.mark.parametrize("make", TERMS)
def test_identical_halves_cost_nothing(make: Callable[[], Aligner], seed: int) -> None:
    same = signals(seed).ti_source_features
    target = same.clone().requires_grad_()
    loss = make()(of(same, target))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    assert target.grad is not None and target.grad.isfinite().all()


@pytest.mark.parametrize("make", TERMS)
def test_a_collapsed_network_has_finite_gradients(make: Callable[[], Aligner]) -> None:
    target = torch.zeros(5, 3, requires_grad=True)
    make()(of(torch.zeros(5, 3), target)).backward()
    assert target.grad is not None and target.grad.isfinite().all()


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-50, 50))
def test_coral_sees_no_mean(seed: int, shift: float) -> None:
    step = signals(seed)
    moved = of(step.ti_source_features, step.ti_source_features + shift)
    assert TiCoral()(moved).item() == pytest.approx(0.0, abs=1e-9)
    torch.testing.assert_close(TiCoral()(of(step.ti_source_features, step.ti_target_features + shift)), TiCoral()(step))


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.01, 100), st.floats(-50, 50))
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_mmd_sees_neither_scale_nor_origin(estimator: Any, seed: int, scale: float, shift: float) -> None:
    step = signals(seed)
    moved = of(scale * step.ti_source_features + shift, scale * step.ti_target_features + shift)
    torch.testing.assert_close(TiMmd(estimator)(moved), TiMmd(estimator)(step), rtol=1e-6, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_mmd_lies_in_its_range(seed: int) -> None:
    assert 0 <= TiMmd()(signals(seed)).item() <= 2
    assert abs(TiMmd("unbiased")(signals(seed)).item()) <= 2


def test_mmd_of_far_samples_is_near_two_less_within_kernels() -> None:
    """Two tight clusters far apart, one narrow kernel: within 1, across exp(-1 / (2 f)) at the median."""
    source, target = torch.zeros(3, 2, dtype=torch.float64), torch.full((3, 2), 7.0, dtype=torch.float64)
    found = TiMmd("biased", [0.05])(of(source, target))
    assert found.item() == pytest.approx(2 - 2 * math.exp(-10))


@pytest.mark.parametrize("make", TERMS)
def test_gradient_is_that_of_the_loss(make: Callable[[], Aligner]) -> None:
    step = signals(3)

    def loss(features: Tensor, logits: Tensor) -> Tensor:
        return make()(of(step.ti_source_features, features, step.ti_source_logits, logits))

    given = step.ti_target_features.requires_grad_(), step.ti_target_logits.requires_grad_()
    if make is TiPredictions or make is TiCoral:
        assert torch.autograd.gradcheck(loss, given)
        return
    term = make()
    assert isinstance(term, TiMmd)
    assert_gradient_with_fixed_median(term, step)


def assert_gradient_with_fixed_median(term: TiMmd, step: Any) -> None:
    """The median is a constant to the gradient, so differences are taken where it is held."""
    source, target = step.ti_source_features, step.ti_target_features
    points = torch.cat([source, target]).detach()
    median = (points[:, None] - points[None]).square().sum(-1)[tuple(torch.triu_indices(10, 10, 1))].median()

    def with_median(y: Tensor) -> Tensor:
        both, n = torch.cat([source, y]), len(source)
        squares = (both[:, None] - both[None]).square().sum(-1)
        kernel = torch.stack([(-squares / (2 * f * median)).exp() for f in term.bandwidths]).mean(0)
        terms = kernel[:n, :n] + kernel[n:, n:] - 2 * kernel[:n, n:]
        kept = terms if term.estimator == "biased" else terms[~torch.eye(n, dtype=torch.bool)]
        return kept.mean()

    assert torch.autograd.gradcheck(with_median, target)
    (expected,) = torch.autograd.grad(with_median(target), target)
    (found,) = torch.autograd.grad(term(step), target)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("make", TERMS)
def test_no_gradient_reaches_the_source(make: Callable[[], Aligner]) -> None:
    step = signals(0)
    for value in vars(step).values():
        value.requires_grad_()
    make()(step).backward()
    assert step.ti_source_features.grad is None and step.ti_source_logits.grad is None


@pytest.mark.parametrize("make", DISTRIBUTIONS)
def test_one_pair_has_no_distribution(make: Callable[[], Aligner]) -> None:
    with pytest.raises(UserError, match=r"needs at least 2 TI pairs in a batch, got 1.*--aligner ti-\w+=0"):
        make()(signals(0, pairs=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TiPredictions(0), r"ti-predictions: temperature is 0, expected a number greater than 0"),
        (lambda: TiMmd("fair"), r"estimator is 'fair', expected one of biased, unbiased"),  # type: ignore[arg-type]
        (lambda: TiMmd(bandwidths=[]), r"bandwidths is \[\], expected multiples"),
        (lambda: TiMmd(bandwidths=[1, 0]), r"bandwidths is \[1, 0\].*each greater than 0"),
        (lambda: TiMmd(bandwidths="wide"), r"bandwidths is 'wide'"),  # type: ignore[arg-type]
    ],
)
def test_bad_options_are_told(make: Callable[[], Aligner], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
