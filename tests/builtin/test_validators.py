"""Label-free scores: cases by hand, naive loops, and what must not change them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks
from sfda_kit.builtin import neighbour_validators
from sfda_kit.builtin.neighbour_validators import KnnAgreement, Snd
from sfda_kit.errors import UserError
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.testing.signals import small_bank

SPREAD = 50 * torch.eye(4)
COLLAPSED = 50 * torch.eye(4)[:1].repeat(4, 1)
UNSURE = torch.zeros(4, 4)
NAMES = [part.name for part in registry().of_kind("validator") if part.owner == "sfda-kit"]


def score(name: str, bank: FeatureBank, source: FeatureBank, augmented: FeatureBank) -> float:
    validator: Any = build_part("validator", name)
    extra = {"augmented": augmented, "pairs": PairBanks(source, bank)}
    found: float = validator(bank, source, **{signal: extra[signal] for signal in validator.reads})
    return found


def of_logits(logits: torch.Tensor, features: torch.Tensor | None = None) -> FeatureBank:
    return FeatureBank(torch.zeros(len(logits), 2) if features is None else features, logits)


@pytest.mark.parametrize(
    ("name", "spread", "collapsed", "unsure"),
    [
        ("entropy", 0.0, 0.0, -math.log(4)),
        ("infomax", math.log(4), 0.0, 0.0),
        ("bnm", 1.0, 0.5, 0.25),
        ("source-agreement", 1.0, 0.25, 0.25),
        ("source-drift", 0.0, -37.5, -math.log(4)),
        ("augmentation-consistency", 1.0, 0.25, 0.25),
        ("pair-agreement", 1.0, 0.25, 0.25),
        ("snd", math.log(3), math.log(3), math.log(3)),
        ("balance", 1.0, 0.0, 0.0),
    ],
)
def test_by_hand(name: str, spread: float, collapsed: float, unsure: float) -> None:
    reference = of_logits(SPREAD)
    scores = [score(name, of_logits(logits), reference, reference) for logits in (SPREAD, COLLAPSED, UNSURE)]
    assert scores == pytest.approx([spread, collapsed, unsure], abs=1e-4)


def test_balance_of_a_single_class() -> None:
    assert score("balance", of_logits(torch.zeros(3, 1)), of_logits(torch.zeros(3, 1)), small_bank()) == 1.0


def test_snd_of_two_tight_groups_counts_the_neighbours_within_a_group() -> None:
    """At cosine 0 and 1 and temperature 0.05 the other group has weight exp(-20): entropy is log 2, log 1."""
    logits = 50 * torch.eye(2)[[0, 0, 0, 1, 1]]
    assert Snd()(of_logits(logits), of_logits(logits)) == pytest.approx(3 / 5 * math.log(2), abs=1e-4)
    warm = Snd(temperature=1e6)(of_logits(logits), of_logits(logits))
    assert warm == pytest.approx(math.log(5), abs=1e-4)


def test_knn_agreement_by_hand() -> None:
    """Points at 0, 10, 20 and 90 degrees: the middle ones have one neighbour of their class each."""
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 21.0, 90.0]))
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    bank = of_logits(torch.eye(2)[[0, 0, 1, 1]], features)
    assert KnnAgreement(neighbours=1)(bank, bank) == 3 / 4  # the third's nearest is the second
    assert KnnAgreement(neighbours=2)(bank, bank) == (1 + 1 + 0 + 1) / 8
    assert KnnAgreement(neighbours=99)(bank, bank) == 4 / 12


def naive_snd(bank: FeatureBank, temperature: float = 0.05) -> float:
    rows = [row.double() / row.double().norm() for row in bank.probabilities]
    total = 0.0
    for i, row in enumerate(rows):
        near = [-1.0 if j == i else float(row @ other) for j, other in enumerate(rows)]
        weights = [math.exp(cosine / temperature) for cosine in near]
        total -= sum(w / sum(weights) * math.log(w / sum(weights) + 1e-5) for w in weights)
    return total / len(rows)


def naive_knn(bank: FeatureBank, neighbours: int = 5) -> float:
    same = []
    for i, feature in enumerate(bank.features):
        near = F.cosine_similarity(feature[None], bank.features)
        order = [j for j in near.argsort(descending=True).tolist() if j != i][:neighbours]
        same += [bool(bank.predictions[i] == bank.predictions[j]) for j in order]
    return sum(same) / len(same)


def naive_bnm(bank: FeatureBank) -> float:
    p = bank.probabilities.double()
    singular = torch.linalg.eigvalsh(p.T @ p).clamp(min=0).sqrt().sum()
    return float(singular) / math.sqrt(len(p) * min(p.shape))


def naive_drift(bank: FeatureBank, source: FeatureBank) -> float:
    total = 0.0
    for p, q in zip(source.probabilities.tolist(), bank.probabilities.tolist(), strict=True):
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return -total / len(bank.logits)


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_exact_whatever_the_block(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(neighbour_validators.cosine_blocks, "__defaults__", (block,))
    bank = small_bank(3)
    assert Snd()(bank, bank) == pytest.approx(naive_snd(bank), abs=1e-4)
    assert KnnAgreement()(bank, bank) == pytest.approx(naive_knn(bank))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 6))
def test_by_naive_loops(seed: int, images: int, classes: int) -> None:
    bank, source = (small_bank(seed + k, images, classes=classes) for k in (0, 1))
    assert score("snd", bank, source, source) == pytest.approx(naive_snd(bank), abs=1e-4)
    assert score("knn-agreement", bank, source, source) == pytest.approx(naive_knn(bank))
    assert score("bnm", bank, source, source) == pytest.approx(naive_bnm(bank), abs=1e-6)
    assert score("source-drift", bank, source, source) == pytest.approx(naive_drift(bank, source), rel=1e-4, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 5), st.data())
def test_neither_the_order_of_images_nor_that_of_classes_matters(
    seed: int, images: int, classes: int, data: st.DataObject
) -> None:
    banks = [small_bank(seed + k, images, classes=classes) for k in range(3)]
    rows = data.draw(st.permutations(range(images)))
    columns = data.draw(st.permutations(range(classes)))
    moved = [FeatureBank(bank.features[list(rows)], bank.logits[list(rows)][:, list(columns)]) for bank in banks]
    for name in NAMES:
        assert score(name, *moved) == pytest.approx(score(name, *banks), rel=1e-4, abs=1e-4), name


def test_every_score_stays_in_the_range_it_states() -> None:
    highest = {"entropy": 0, "infomax": math.log(3), "bnm": 1, "snd": math.log(39), "source-drift": 0}
    for seed in range(5):
        banks = [small_bank(seed + k) for k in range(3)]
        for name in NAMES:
            assert score(name, *banks) <= highest.get(name, 1) + 1e-5, name


def test_drift_sees_what_agreement_does_not() -> None:
    """Half the confidence, the same classes: agreement stays 1, drift falls."""
    source = small_bank(0)
    milder = FeatureBank(source.features, source.logits / 2)
    assert score("source-agreement", milder, source, source) == 1.0
    assert score("source-drift", milder, source, source) < -0.01


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [("snd", {"temperature": 0}, "must be above 0"), ("knn-agreement", {"neighbours": 0}, "needs 1 or more")],
)
def test_an_option_out_of_range_is_refused(name: str, option: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_part("validator", name, option)


def test_consistency_without_augmented_images_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match="augmented"):
        build_part("validator", "augmentation-consistency")(small_bank(), small_bank())
