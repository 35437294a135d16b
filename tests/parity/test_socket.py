"""SOCKET's official form against the numbers that its authors' code gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sfda_kit import AdaptConfig, BatchNormStatistics, FeatureBank
from sfda_kit.adaptation.phase_optimizer import phase_optimizer
from sfda_kit.builtin.aligners import TiFeatures
from sfda_kit.models.statistics import captured_statistics
from sfda_kit.plugins.discovery import build_part
from sfda_kit.testing.networks import small_network
from sfda_kit.training.schedules import schedule

from .golden import HERE, close, load

pytestmark = pytest.mark.needs_plugin("sfda-kit-socket")


def cases(kind: str) -> list[str]:
    return sorted(path.stem for path in (HERE / "socket").glob(f"{kind}*.npz"))


@pytest.fixture(params=[torch.float32, torch.float64], ids=["single", "double"])
def precision(request: pytest.FixtureRequest) -> torch.dtype:
    found: torch.dtype = request.param
    return found


def wanted(case: dict[str, NDArray[Any]], name: str, precision: torch.dtype) -> NDArray[Any]:
    return case[f"{name}_f64" if precision is torch.float64 else name]


@pytest.mark.parametrize("name", cases("statistics"))
def test_statistics_of_a_layers_input(name: str, precision: torch.dtype) -> None:
    case = load("socket", name)
    images = torch.from_numpy(case["in_layer_input"]).to(precision)
    layer = nn.BatchNorm2d(images.shape[1]).to(precision)
    with captured_statistics(layer) as found:
        layer(images)
    close(found[0].mean, wanted(case, "out_mean", precision), precision is torch.float64)
    close(found[0].variance, wanted(case, "out_variance", precision), precision is torch.float64)


def layers(case: dict[str, NDArray[Any]], side: str, precision: torch.dtype) -> list[BatchNormStatistics]:
    """The statistics of each layer, of the side ``source`` or ``target``; those of the target have gradients."""
    found = []
    while f"in_{side}_mean_{len(found)}" in case:
        number = len(found)
        both = (torch.from_numpy(case[f"in_{side}_{kind}_{number}"]).to(precision) for kind in ("mean", "variance"))
        mean, variance = (values.requires_grad_(side == "target") for values in both)
        found.append(BatchNormStatistics(mean, variance, number == 0))
    return found


def official(case: dict[str, NDArray[Any]], precision: torch.dtype) -> tuple[Any, Any]:
    """The term as ``socket-official`` has it, and the signals of the case."""
    term = build_part("aligner", "bn-stats", {"reduction": "sum", "fading": True})
    term.own_module(small_network()).to(precision)
    source, batch = (layers(case, side, precision) for side in ("source", "target"))
    return term, SimpleNamespace(source_statistics=source, batch_statistics=batch)


@pytest.mark.parametrize("name", cases("batch_norm"))
def test_the_term_and_its_gradients(name: str, precision: torch.dtype) -> None:
    case, double = load("socket", name), precision is torch.float64
    term, signals = official(case, precision)
    term.factor.scalar.data = torch.tensor(case["in_scalars"][0], dtype=precision)
    value = term(signals)
    value.backward()
    close(value, wanted(case, "out_value", precision), double)
    close(term.factor.scalar.grad[None], wanted(case, "out_scalar_gradients", precision), double)
    for number, layer in enumerate(signals.batch_statistics):
        close(layer.mean.grad, wanted(case, f"out_target_mean_gradient_{number}", precision), double)
        close(layer.variance.grad, wanted(case, f"out_target_variance_gradient_{number}", precision), double)


@pytest.mark.parametrize("name", cases("scalar_over_steps"))
def test_the_term_fades_as_the_authors_does(name: str) -> None:
    """The phase's optimiser and schedule move the factor; no other term does."""
    case = load("socket", name)
    term, signals = official(case, torch.float64)
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


@pytest.mark.parametrize("name", cases("pairs"))
def test_pairs(name: str, precision: torch.dtype) -> None:
    case, double = load("socket", name), precision is torch.float64
    source, target = (torch.from_numpy(case[f"in_{side}_features"][0]).to(precision) for side in ("source", "target"))
    target.requires_grad_()
    value = TiFeatures("frobenius")(SimpleNamespace(ti_target_features=target, ti_source_features=source))
    value.backward()
    close(value, wanted(case, "out_value", precision), double)
    close(target.grad, wanted(case, "out_target_gradient", precision)[0], double)


@pytest.mark.parametrize("name", cases("labels"))
def test_labels(name: str, precision: torch.dtype) -> None:
    from sfda_kit_socket.centroid import centroids

    case = load("socket", name)
    features, logits = (torch.from_numpy(case[f"in_{key}"]).to(precision) for key in ("features", "logits"))
    bank = FeatureBank(features, logits)
    found = build_part("labeler", "one-round-centroid")(bank)
    close(found.labels, case["out_labels"], double=False)
    points: Tensor = nn.functional.normalize(nn.functional.pad(features, (0, 1), value=1.0), dim=1)
    close(centroids(points, bank.probabilities), wanted(case, "out_centroids", precision), precision is torch.float64)
