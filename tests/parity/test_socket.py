"""SOCKET's official form against the numbers that its authors' code gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from sfda_kit import AdaptConfig, BatchNormStatistics, FeatureBank
from sfda_kit.adaptation.phase_optimizer import phase_optimizer
from sfda_kit.builtin.aligners import TiFeatures
from sfda_kit.models.statistics import captured_statistics
from sfda_kit.plugins.discovery import build_part
from sfda_kit.testing.networks import small_network
from sfda_kit.training.schedules import schedule

from .golden import PRECISIONS, cases, close, load, tensor, wanted

pytestmark = pytest.mark.needs_plugin("sfda-kit-socket")


@PRECISIONS
@pytest.mark.parametrize("name", cases("socket", "statistics"))
def test_statistics_of_a_layers_input(name: str, double: bool) -> None:
    case = load("socket", name)
    images = tensor(case["in_layer_input"], double)
    layer = nn.BatchNorm2d(images.shape[1]).to(images)
    with captured_statistics(layer) as found:
        layer(images)
    close(found[0].mean, wanted(case, "mean", double), double)
    close(found[0].variance, wanted(case, "variance", double), double)


def layers(case: dict[str, NDArray[Any]], side: str, double: bool) -> list[BatchNormStatistics]:
    """The statistics of each layer, of the side ``source`` or ``target``; those of the target have gradients."""
    found = []
    while f"in_{side}_mean_{len(found)}" in case:
        number = len(found)
        statistics = (case[f"in_{side}_{kind}_{number}"] for kind in ("mean", "variance"))
        mean, variance = (tensor(values, double, side == "target") for values in statistics)
        found.append(BatchNormStatistics(mean, variance, number == 0))
    return found


def official(case: dict[str, NDArray[Any]], double: bool) -> tuple[Any, Any]:
    """The term as ``socket-official`` has it, and the signals of the case."""
    term = build_part("aligner", "bn-stats", {"reduction": "sum", "fading": True})
    term.own_module(small_network()).to(torch.float64 if double else torch.float32)
    source, batch = (layers(case, side, double) for side in ("source", "target"))
    return term, SimpleNamespace(source_statistics=source, batch_statistics=batch)


@PRECISIONS
@pytest.mark.parametrize("name", cases("socket", "batch_norm"))
def test_the_term_and_its_gradients(name: str, double: bool) -> None:
    case = load("socket", name)
    term, signals = official(case, double)
    term.factor.scalar.data = tensor(case["in_scalars"][0], double)
    value = term(signals)
    value.backward()
    close(value, wanted(case, "value", double), double)
    close(term.factor.scalar.grad[None], wanted(case, "scalar_gradients", double), double)
    for number, layer in enumerate(signals.batch_statistics):
        close(layer.mean.grad, wanted(case, f"target_mean_gradient_{number}", double), double)
        close(layer.variance.grad, wanted(case, f"target_variance_gradient_{number}", double), double)


@pytest.mark.parametrize("name", cases("socket", "scalar_over_steps"))
def test_the_term_fades_as_the_authors_does(name: str) -> None:
    """The phase's optimiser and schedule move the factor; no other term does."""
    case = load("socket", name)
    term, signals = official(case, double=True)
    steps, config = int(case["in_steps"]), AdaptConfig(lr=float(case["in_rate"]))
    optimizer = phase_optimizer(small_network(), "backbone+bottleneck", config, [term.factor])
    group, factor_at = optimizer.param_groups[-1], schedule("inverse", steps)
    found: dict[str, list[float]] = {"out_value_before_step": [], "out_scalar": [], "out_factor": []}
    for step in range(steps):
        group["lr"] = config.lr * factor_at(step / steps)
        value = term(signals)
        optimizer.zero_grad()
        (0.5 * value).backward()
        optimizer.step()
        for key, number in zip(found, (value, term.factor.scalar, term.factor()), strict=True):
            found[key].append(number.item())
    for key, numbers in found.items():
        close(np.array(numbers), case[f"{key}_f64"], double=True)


@PRECISIONS
@pytest.mark.parametrize("name", cases("socket", "pairs"))
def test_pairs(name: str, double: bool) -> None:
    case = load("socket", name)
    source = tensor(case["in_source_features"][0], double)
    target = tensor(case["in_target_features"][0], double, needs_gradient=True)
    value = TiFeatures("frobenius")(SimpleNamespace(ti_target_features=target, ti_source_features=source))
    value.backward()
    close(value, wanted(case, "value", double), double)
    close(target.grad, wanted(case, "target_gradient", double)[0], double)


@PRECISIONS
@pytest.mark.parametrize("name", cases("socket", "labels"))
def test_labels(name: str, double: bool) -> None:
    from sfda_kit_socket.centroid import centroids

    case = load("socket", name)
    features, logits = (tensor(case[f"in_{key}"], double) for key in ("features", "logits"))
    bank = FeatureBank(features, logits)
    found = build_part("labeler", "one-round-centroid")(bank)
    close(found.labels, case["out_labels"], double=False)
    close(centroids(features, logits), wanted(case, "centroids", double), double)
