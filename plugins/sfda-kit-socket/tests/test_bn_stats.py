"""L_BN against loops written from the formulas."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_socket.bn_stats import BnStats
from torch import Tensor

from sfda_kit import BatchNormStatistics, UserError
from sfda_kit.testing import AlignerConformance
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_step_signals

WIDTHS = (3, 5, 2)


class TestBnStatsMean(AlignerConformance):
    name = "bn-stats"


class TestBnStatsSum(AlignerConformance):
    name = "bn-stats"
    options: ClassVar = {"reduction": "sum"}


def statistics(seed: int, widths: tuple[int, ...] = WIDTHS) -> list[BatchNormStatistics]:
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(2, width, generator=generator, dtype=torch.float64) for width in widths]
    return [BatchNormStatistics(mean, 0.5 + raw.abs(), number == 0) for number, (mean, raw) in enumerate(draws)]


def step(batch: list[BatchNormStatistics], source: list[BatchNormStatistics]) -> SimpleNamespace:
    return SimpleNamespace(batch_statistics=batch, source_statistics=source)


def length(values: list[float]) -> float:
    return math.sqrt(sum(value**2 for value in values))


def gaps(batch: BatchNormStatistics, source: BatchNormStatistics) -> tuple[float, float]:
    means = [b - s for b, s in zip(batch.mean.tolist(), source.mean.tolist(), strict=True)]
    variances = [b - s for b, s in zip(batch.variance.tolist(), source.variance.tolist(), strict=True)]
    return length(means), length(variances)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_sum_is_the_official_formula(seed: int) -> None:
    batch, source = statistics(seed), statistics(seed + 1)
    expected = sum(weight * sum(gaps(b, s)) for weight, b, s in zip((10, 1, 1), batch, source, strict=True))
    assert BnStats("sum")(step(batch, source)).item() == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_mean_is_relative_and_averaged(seed: int) -> None:
    batch, source = statistics(seed), statistics(seed + 1)
    expected = 0.0
    for weight, b, s in zip((10, 1, 1), batch, source, strict=True):
        mean_gap, variance_gap = gaps(b, s)
        deviation = length([math.sqrt(v) for v in s.variance.tolist()])
        expected += weight * (mean_gap / deviation + variance_gap / length(s.variance.tolist())) / 12
    assert BnStats()(step(batch, source)).item() == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(1e-2, 1e2), st.integers(1, 4))
def test_mean_does_not_depend_on_scale_width_or_depth(seed: int, scale: float, copies: int) -> None:
    batch, source = statistics(seed, (4,)), statistics(seed + 1, (4,))
    expected = BnStats()(step(batch, source)).item()

    def scaled(found: list[BatchNormStatistics]) -> list[BatchNormStatistics]:
        wider = [BatchNormStatistics(s.mean.repeat(copies), s.variance.repeat(copies)) for s in found]
        layers = copies * [BatchNormStatistics(scale * s.mean, scale**2 * s.variance) for s in wider]
        return [layers[0]._replace(is_first=True), *layers[1:]]

    assert BnStats()(step(scaled(batch), scaled(source))).item() == pytest.approx(expected)


def test_channel_that_never_varied_cannot_blow_up_the_mean() -> None:
    source = BatchNormStatistics(torch.zeros(4), torch.tensor([0.0, 1.0, 1.0, 1.0]))
    batch = BatchNormStatistics(torch.full((4,), 0.1), torch.ones(4))
    assert BnStats()(step([batch], [source])).item() < 1


def test_equal_statistics_give_no_loss_and_no_nan() -> None:
    batch = [BatchNormStatistics(s.mean.clone().requires_grad_(), s.variance) for s in statistics(0)]
    loss = BnStats()(step(batch, statistics(0)))
    loss.backward()
    assert loss.item() == 0
    assert all(s.mean.grad is not None and bool(s.mean.grad.isfinite().all()) for s in batch)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradcheck(reduction: str) -> None:
    source = statistics(1, (3, 3))

    def loss(means: Tensor, variances: Tensor) -> Tensor:
        batch = [BatchNormStatistics(m, v) for m, v in zip(means, variances, strict=True)]
        return BnStats(reduction)(step(batch, source))  # type: ignore[arg-type]

    inputs = torch.rand(2, 2, 3, dtype=torch.float64) + 0.5
    assert torch.autograd.gradcheck(loss, tuple(inputs.requires_grad_().unbind()))


def test_statistics_are_those_of_the_target_batch() -> None:
    network = small_network()
    signals = small_step_signals(network=network, reads=BnStats.reads)
    first_layer = network.backbone.stem[0](signals.target_images)  # type: ignore[operator, index]
    torch.testing.assert_close(signals.batch_statistics[0].mean, first_layer.mean((0, 2, 3)))


def test_network_without_batch_norm_is_refused() -> None:
    with pytest.raises(UserError, match=r"bn-stats compares BatchNorm statistics.*--aligner bn-stats=0"):
        BnStats().check(small_network(batch_norm=False))


def test_wrong_reduction_names_the_right_ones() -> None:
    with pytest.raises(UserError, match="expected one of mean, sum"):
        BnStats("max")  # type: ignore[arg-type]
