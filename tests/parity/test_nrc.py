"""The parts of NRC against numbers that the authors' code gave: neighbours, affinities, values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .bank_step import bank_step
from .golden import PRECISIONS, close, load, wanted

pytestmark = pytest.mark.needs_plugin("sfda-kit-neighbors")
CASES = pytest.mark.parametrize(
    "case",
    ["visda_n160_c12", "home_n150_c65", "home_late_n150_c31", "office_n40_c2", "b5_c12_absent", "all_n8_c3"],
)
VARIANTS = pytest.mark.parametrize("variant", ["reciprocal", "flat"])


def neighbourhood(data: dict[str, Any], signals: Any) -> Any:
    from sfda_kit_neighbors.nrc import neighbourhood

    counts = int(data["in_neighbors"]), int(data["in_expanded"])
    return neighbourhood(signals.memory.features, signals.target_rows, *counts)


def part(data: dict[str, Any], variant: str) -> Any:
    from sfda_kit_neighbors.nrc import ReciprocalNeighbors

    return ReciprocalNeighbors(int(data["in_neighbors"]), int(data["in_expanded"]), variant)


@PRECISIONS
@VARIANTS
@CASES
def test_neighbours_and_affinities(case: str, variant: str, double: bool) -> None:
    from sfda_kit_neighbors.nrc import affinity

    data = load("nrc", case)
    signals = bank_step(data, double)
    near, beyond = neighbourhood(data, signals)
    close(near, data["out_near"], double)
    close(beyond, data["out_expanded_near"], double)
    found = affinity(beyond, signals.target_rows, signals.memory.features.dtype, variant)
    close(found, wanted(data, f"{variant}_affinity", double), double)


@PRECISIONS
@VARIANTS
@CASES
def test_value_and_gradient_of_the_whole_loss(case: str, variant: str, double: bool) -> None:
    """The authors write kl(s, p) = <s, log s - p>; ours lacks the part that no weight of the network moves."""
    from sfda_kit_neighbors.nrc import Diversity

    data = load("nrc", case)
    signals, constant = bank_step(data, double), data[f"formula_{variant}_constant"]
    neighbours = part(data, variant)(signals)
    close(neighbours + float(constant), wanted(data, f"{variant}_after_direct", double), double)
    loss = neighbours + Diversity()(signals)
    close(loss + float(constant), wanted(data, f"{variant}_loss", double), double)
    (gradient,) = torch.autograd.grad(loss, signals.logits)
    close(gradient, wanted(data, f"{variant}_gradient", double), double)


@PRECISIONS
@CASES
def test_the_part_of_the_neighbours_neighbours(case: str, double: bool) -> None:
    """What is left of the loss without the direct neighbours."""
    from sfda_kit_neighbors.nrc import WEAK, affinity, agreement

    data = load("nrc", case)
    signals, term = bank_step(data, double), part(data, "reciprocal")
    near, beyond = neighbourhood(data, signals)
    answers = signals.memory.probabilities
    weights = affinity(beyond, signals.target_rows, answers.dtype, "reciprocal")
    direct = -(weights * agreement(answers[near], signals.target_probabilities)).sum(dim=1).mean()
    constant = WEAK * torch.special.xlogy(answers, answers).sum(dim=1)[beyond].sum(dim=(1, 2)).mean()
    found = term(signals) - direct + constant
    close(found, wanted(data, "reciprocal_after_expanded", double), double)


@PRECISIONS
@CASES
def test_diversity(case: str, double: bool) -> None:
    from sfda_kit_neighbors.nrc import Diversity

    data = load("nrc", case)
    signals = bank_step(data, double)
    loss = Diversity()(signals)
    close(loss, wanted(data, "diversity", double), double)
    (gradient,) = torch.autograd.grad(loss, signals.logits)
    close(gradient, wanted(data, "diversity_gradient", double), double)


def test_an_image_is_among_its_neighbours_neighbours_in_every_case_but_never_its_own_neighbour() -> None:
    """Else the cases could not tell the published form from one that leaves the image out."""
    for case in CASES.args[1]:
        data = load("nrc", case)
        assert (data["out_expanded_near"] == data["in_rows"][:, None, None]).any()
        assert not (data["out_near"] == data["in_rows"][:, None]).any()
