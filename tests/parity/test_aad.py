"""The parts of AaD against numbers that the authors' code gave: neighbours, values, gradients and the weight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from .bank_step import bank_step
from .golden import PRECISIONS, close, load, wanted

pytestmark = pytest.mark.needs_plugin("sfda-kit-neighbors")
CASES = pytest.mark.parametrize(
    "case", ["visda_n160_c12", "home_n150_c65", "office_n120_c31", "n40_c2", "b5_c12_absent", "b2_c3"]
)


def step(data: dict[str, Any], double: bool) -> Any:
    """The signals of a step, with the share of the steps before it."""
    signals = bank_step(data, double)
    signals.progress = int(data["in_step"]) / int(data["in_steps"])
    return signals


@PRECISIONS
@CASES
def test_neighbours_and_attraction(case: str, double: bool) -> None:
    from sfda_kit_neighbors.aad import Attraction

    data = load("aad", case)
    signals, term = step(data, double), Attraction(int(data["in_neighbors"]))
    rows, features = signals.target_rows, signals.memory.features
    close(term.search(features[rows], features, term.neighbors, rows), data["out_near"], double)
    close(term(signals) + float(data["formula_constant"]), wanted(data, "attraction", double), double)


@PRECISIONS
@pytest.mark.parametrize("kind", ["decayed", "constant"])
@CASES
def test_dispersion_weight_and_the_whole_loss_with_its_gradient(case: str, kind: str, double: bool) -> None:
    from sfda_kit_neighbors.aad import Attraction, Dispersion

    data = load("aad", case)
    signals, decay = step(data, double), float(data["in_beta"]) if kind == "decayed" else 0.0
    dispersion = Dispersion(decay)(signals)
    weight = wanted(data, f"{kind}_weight", double)
    close(dispersion, wanted(data, "dispersion", double) * weight, double)
    loss = Attraction(int(data["in_neighbors"]))(signals) + dispersion
    close(loss + float(data["formula_constant"]), wanted(data, f"{kind}_loss", double), double)
    (gradient,) = torch.autograd.grad(loss, signals.logits)
    close(gradient, wanted(data, f"{kind}_gradient", double), double)


@pytest.mark.parametrize("steps", [5, 20, 60, 150])
def test_weight_over_steps(steps: int) -> None:
    """Two predictions of one class have <p, p> = 1 with each other, so the term is its weight."""
    from sfda_kit_neighbors.aad import Dispersion

    data = load("aad", f"weight_over_steps_t{steps}")
    term, alike = Dispersion(float(data["in_beta"])), torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    found = [term(SimpleNamespace(progress=t / steps, target_probabilities=alike)) for t in range(steps)]
    close(torch.stack(found), data["out_weight"], double=True)
