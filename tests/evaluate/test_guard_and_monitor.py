"""The collapse guard and the alarms, by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks
from sfda_kit.evaluate.collapse import effective_classes, is_collapsed
from sfda_kit.evaluate.monitor import Monitor


def test_effective_classes_by_hand():
    assert effective_classes([5, 5, 5, 0]) == pytest.approx(3.0)
    assert effective_classes([7, 0]) == pytest.approx(1.0)
    assert effective_classes([2, 1, 1]) == pytest.approx(2**1.5)  # entropy 1.5 bits


@pytest.mark.parametrize(
    ("counts", "reference", "expected"),
    [
        ([100, 0, 0, 0], [100, 0, 0, 0], True),  # one answer for everything tells nothing, whatever came before
        ([97, 1, 1, 1], [25, 25, 25, 25], True),
        ([97, 1, 1, 1], [90, 4, 3, 3], False),  # skewed data: as skewed before adaptation
        ([70, 20, 5, 5], [25, 25, 25, 25], False),  # more skewed, but most classes are in use
        ([50, 50, 0, 0], [25, 25, 25, 25], False),  # exactly half is kept
        ([51, 49, 0, 0], [25, 25, 25, 25], True),
        ([99, 1], [50, 50], False),  # of two classes only a full collapse can be told
        ([100, 0], [50, 50], True),
        ([3, 0, 0, 0], [1, 1, 1, 0], False),  # fewer images than classes
        ([9], [9], False),
    ],
)
def test_collapse_by_hand(counts, reference, expected):
    assert is_collapsed(counts, reference) is expected


@given(st.permutations(range(6)), st.lists(st.integers(0, 50), min_size=6, max_size=6))
def test_the_names_of_classes_do_not_matter(order, counts):
    counts[0] += 1
    reference = [10, 20, 30, 5, 5, 30]
    moved = [counts[k] for k in order], [reference[k] for k in order]
    assert is_collapsed(*moved) is is_collapsed(counts, reference)


@given(st.lists(st.integers(1, 50), min_size=3, max_size=8))
def test_a_model_that_predicts_as_the_reference_has_not_collapsed(counts):
    assert not is_collapsed(counts, counts)


def of_classes(codes: list[int], classes: int = 4, confidence: float = 9.0) -> FeatureBank:
    return FeatureBank(torch.zeros(len(codes), 2), confidence * torch.eye(classes)[codes])


EVEN = [0, 1, 2, 3] * 5


def names(monitor: Monitor, bank: FeatureBank, before=()) -> list[str]:
    signals = {**monitor.diagnostics(bank), "validators": {}}
    return list(monitor.alarms(signals, before))


def test_a_healthy_model_raises_no_alarm():
    monitor = Monitor({"source-only": of_classes(EVEN)}, "infomax")
    assert names(monitor, of_classes(EVEN)) == []
    assert names(monitor, of_classes([0, 1, 2, 2] * 5)) == []


def test_collapse_drift_and_unsure_predictions_are_told_apart():
    monitor = Monitor({"source-only": of_classes(EVEN)}, "infomax")
    assert names(monitor, of_classes([0] * 20)) == ["collapse"]
    assert names(monitor, of_classes([1, 2, 3, 0] * 5)) == ["drift"]
    assert names(monitor, of_classes(EVEN, confidence=0.1)) == ["unsure"]
    assert names(Monitor({"source-only": of_classes(EVEN, confidence=0.05)}, "infomax"), of_classes(EVEN)) == []


def test_a_model_that_loses_what_the_source_model_knew_of_the_pairs_is_told():
    """The source model says the same of 50 of 100 pairs. By hand: two standard errors are 13.9 pairs at 36 and 37."""
    halves = of_classes([0] * 100)

    def banks(alike: int) -> PairBanks:
        return PairBanks(halves, of_classes([0] * alike + [1] * (100 - alike)))

    monitor = Monitor({"source-only": of_classes(EVEN)}, "infomax", banks(50))

    def epochs(*alike: int | None) -> dict[str, str]:
        pairs = [None if one is None else banks(one) for one in alike]
        found = [{**monitor.diagnostics(of_classes(EVEN), one), "validators": {}} for one in pairs]
        return monitor.alarms(found[-1], found[:-1])

    assert monitor.diagnostics(of_classes(EVEN), banks(34))["pair_agreement"] == pytest.approx(0.34)
    said = epochs(50, 36, 34)["pair-disagreement"]
    assert "on 34.0% of the TI pairs, and the source model agrees with itself on 50.0%" in said
    assert epochs(34) == epochs(37, 34) == epochs(34, 37) == epochs(34, None) == epochs(34, 34, 50) == {}


def test_alarms_give_figures():
    monitor = Monitor({"source-only": of_classes(EVEN)}, "infomax")
    signals = monitor.diagnostics(of_classes([0] * 20))
    assert signals["effective_classes"] == 1.0
    text = monitor.alarms({**signals, "validators": {}}, [])["collapse"]
    assert "1.0 effective classes of 4" in text and "source-only: 4.0" in text


def test_a_trained_bridge_is_the_reference():
    """The source model sees one class only; the bridge knows all four."""
    banks = {"source-only": of_classes([0] * 20), "bridge": of_classes(EVEN)}
    monitor = Monitor(banks, "infomax")
    assert monitor.diagnostics(of_classes(EVEN))["bridge_agreement"] == 1.0
    assert names(monitor, of_classes(EVEN)) == []
    assert names(monitor, of_classes([1, 2, 3, 0] * 5)) == ["drift"]
    one_class_less = of_classes([1] * 19 + [0])
    assert "collapse" in names(monitor, one_class_less)
    assert "collapse" not in names(Monitor({"source-only": of_classes([0] * 20)}, "infomax"), one_class_less)


def epoch(agreement: float, score: float | None, entropy: float) -> dict:
    histogram = [5, 5, 5, 5]
    return {
        "histogram": histogram,
        "entropy": entropy,
        "source_agreement": agreement,
        "validators": {"infomax": score},
    }


WORSE = [epoch(0.9, 1.0, 0.6), epoch(0.8, 0.9, 0.5), epoch(0.7, 0.8, 0.4)]


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (WORSE, ["negative-transfer"]),
        (WORSE[:2], []),  # one epoch may be noise
        ([*WORSE[:2], epoch(0.7, 0.8, 0.5)], []),  # confidence does not rise
        ([*WORSE[:2], epoch(0.7, 0.95, 0.4)], []),  # the validator likes it
        ([*WORSE[:2], epoch(0.8, 0.8, 0.4)], []),  # agreement holds
        ([*WORSE[:2], epoch(0.7, None, 0.4)], []),  # nothing is known
        ([epoch(0.1, 0.0, 0.1), *WORSE], ["negative-transfer"]),  # what was long ago does not matter
    ],
)
def test_negative_transfer_takes_three_signs_and_two_epochs(epochs, expected):
    monitor = Monitor({"source-only": of_classes(EVEN)}, "infomax")
    assert list(monitor.alarms(epochs[-1], epochs[:-1])) == expected
