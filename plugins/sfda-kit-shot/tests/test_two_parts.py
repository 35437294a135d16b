"""Two data sets of one: each has batches of its own, and the shorter one begins again."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_shot.two_parts import TwoParts

from sfda_kit import PseudoLabels

seeds = st.integers(0, 2**31 - 1)


def divided(labelled: int, unlabelled: int, size: int, seed: int = 0) -> TwoParts:
    """Parts of ``labelled`` and ``unlabelled`` images in random places; the label of a row is the row modulo 7."""
    generator = torch.Generator().manual_seed(seed)
    weights = (torch.randperm(labelled + unlabelled, generator=generator) < labelled).float()
    parts = TwoParts()
    parts.divide(PseudoLabels(torch.arange(len(weights)) % 7, weights), size, generator)
    return parts


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 11), st.integers(0, 11), st.integers(2, 5), seeds)
def test_each_part_is_used_pass_by_pass(labelled: int, unlabelled: int, size: int, seed: int) -> None:
    parts = divided(labelled, unlabelled, size, seed)
    steps = [parts(step) for step in range(8)]
    is_labelled = parts.is_labelled
    for step in steps:
        assert is_labelled[step.labelled].all() and not is_labelled[step.unlabelled].any()
        assert step.labels.tolist() == [row % 7 for row in step.labelled.tolist()]
    for count, rows in ((labelled, [s.labelled for s in steps]), (unlabelled, [s.unlabelled for s in steps])):
        assert all(len(part) == (size if count else 0) for part in rows)
        per_pass = count // size
        for start in range(0, len(rows) - per_pass + 1, max(1, per_pass)):
            seen = [row for part in rows[start : start + per_pass] for row in part.tolist()]
            assert len(set(seen)) == len(seen)


def test_every_pass_has_an_order_of_its_own() -> None:
    parts = divided(8, 8, 4)
    steps = [torch.cat([parts(k).labelled, parts(k + 1).labelled]).tolist() for k in range(0, 8, 2)]
    assert len({tuple(order) for order in steps}) > 1
    assert all(sorted(order) == sorted(steps[0]) for order in steps)


def test_a_part_with_less_than_a_batch_repeats_images() -> None:
    parts = divided(2, 9, 5)
    rows = parts(0).labelled.tolist()
    assert len(rows) == 5 and set(rows) == set(parts.is_labelled.nonzero()[:, 0].tolist())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9), st.integers(0, 20), seeds)
def test_loaded_parts_are_the_saved_ones(labelled: int, step: int, seed: int) -> None:
    parts, fresh = divided(labelled, 9, 2, seed), TwoParts()
    fresh.load_state_dict(parts.state_dict())
    assert fresh.is_divided
    assert all(torch.equal(a, b) for a, b in zip(parts(step), fresh(step), strict=True))


def test_it_has_nothing_to_train() -> None:
    assert list(TwoParts().parameters()) == []
