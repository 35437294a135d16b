"""JMDS and weight mixup against loops written from the formulas."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sfda_kit_neighbors.cowa_jmds import COWA_JMDS, WeightedMixup, mixed_loss
from sfda_kit_neighbors.jmds import Jmds, relative_gap

from sfda_kit import FeatureBank, UserError
from sfda_kit.testing import AlignerConformance, LabelerConformance, RecipeConformance
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_bank, small_step_signals


class TestJmds(LabelerConformance):
    name = "jmds"


class TestJmdsOnce(LabelerConformance):
    name = "jmds"
    options: ClassVar = {"rounds": 1, "ridge": 1e-3}


class TestWeightedMixup(AlignerConformance):
    name = "weighted-mixup"


class TestCowaJmds(RecipeConformance):
    name = "cowa-jmds"


def naive(bank: FeatureBank, rounds: int, ridge: float) -> tuple[list[int], list[float]]:
    """Labels and weights, one image and one class at a time."""
    features = bank.features.double().numpy()
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    model = bank.probabilities.double().numpy()
    images, classes = model.shape
    membership = model
    for _ in range(rounds):
        joint = np.zeros((images, classes))
        for c in range(classes):
            share = membership[:, c] / membership[:, c].sum()
            mean = sum(share[i] * features[i] for i in range(images))
            covariance = ridge * np.eye(features.shape[1])
            for i in range(images):
                covariance += share[i] * np.outer(features[i] - mean, features[i] - mean)
            density = multivariate_normal(mean, covariance).logpdf(features)
            joint[:, c] = density + math.log(membership[:, c].mean())
        membership = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    labels = joint.argmax(axis=1)
    gaps = [min(joint[i, labels[i]] - joint[i, c] for c in range(classes) if c != labels[i]) for i in range(images)]
    weights = [gap / max(gaps) * model[i, labels[i]] for i, gap in enumerate(gaps)]
    return labels.tolist(), weights


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 2))
def test_labels_and_weights_are_the_papers(seed: int, rounds: int) -> None:
    bank = small_bank(seed)
    labels, weights = naive(bank, rounds, 1e-3)
    found = Jmds(rounds, 1e-3)(bank)
    assert found.labels.tolist() == labels
    assert found.weights.tolist() == pytest.approx(weights, rel=1e-4, abs=1e-6)
    assert found.weights.max() <= 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 10))
def test_neither_order_nor_names_of_classes_nor_axes_nor_lengths_of_features_matter(seed: int, scale: float) -> None:
    bank, generator = small_bank(seed), torch.Generator().manual_seed(seed)
    images, classes = torch.randperm(40, generator=generator), torch.randperm(3, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    lengths = scale * (1 + torch.rand(40, 1, generator=generator, dtype=torch.float64))
    features, labeler = bank.features.double(), Jmds(ridge=1e-3)
    straight = labeler(FeatureBank(features, bank.logits.double()))
    moved = labeler(FeatureBank((lengths * features)[images] @ turn, bank.logits.double()[images][:, classes]))
    assert torch.equal(classes[moved.labels], straight.labels[images])
    torch.testing.assert_close(moved.weights, straight.weights[images], rtol=1e-4, atol=1e-6)


def test_clear_clusters_overrule_a_model_that_errs_on_a_few() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(60) % 3
    features = 10 * F.one_hot(truth, 3).float() + torch.randn(60, 3, generator=generator) * 0.5
    told = truth.clone()
    told[:6] = (truth[:6] + 1) % 3
    found = Jmds()(FeatureBank(features, 2.0 * F.one_hot(told, 3)))
    assert torch.equal(found.labels, truth)
    assert found.weights[:6].max() < found.weights[6:].max()


def test_fewer_images_than_features_are_no_obstacle() -> None:
    found = Jmds()(small_bank(images=8, features=64))
    assert found.weights.isfinite().all() and found.weights.max() > 0


def test_gap_by_hand() -> None:
    posterior = torch.tensor([[-1.0, -3.0, -4.0], [-2.0, -1.5, -9.0], [-1.0, -1.0, -2.0]])
    assert relative_gap(posterior).tolist() == pytest.approx([1.0, 0.25, 0.0])
    assert relative_gap(torch.zeros(2, 1)).tolist() == [1.0, 1.0]
    assert relative_gap(torch.zeros(2, 3)).tolist() == [0.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_mixed_loss_is_the_papers(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    share, weights = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    labels, mate = torch.randint(3, (5,), generator=generator), torch.randperm(5, generator=generator)
    expected = 0.0
    for i in range(5):
        j, g = int(mate[i]), float(share[i])
        target = [g * (labels[i] == c) + (1 - g) * (labels[j] == c) for c in range(3)]
        entropy = -sum(float(y) * float(logits[i].log_softmax(0)[c]) for c, y in enumerate(target))
        expected += float(g * weights[i] + (1 - g) * weights[j]) * entropy / 5
    assert mixed_loss(logits, share, labels, weights, mate).item() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_neither_order_nor_names_of_classes_matter_to_the_mixed_loss(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    share, weights = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    labels, mate = torch.randint(3, (5,), generator=generator), torch.randperm(5, generator=generator)
    images, classes = torch.randperm(5, generator=generator), torch.randperm(3, generator=generator)
    moved = mixed_loss(
        logits[images][:, classes],
        share[images],
        classes.argsort()[labels[images]],
        weights[images],
        images.argsort()[mate[images]],
    )
    torch.testing.assert_close(moved, mixed_loss(logits, share, labels, weights, mate))


def test_gradcheck() -> None:
    share, weights = torch.rand(2, 4, dtype=torch.float64)
    labels, mate = torch.tensor([0, 1, 2, 1]), torch.tensor([1, 0, 3, 2])
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: mixed_loss(z, share, labels, weights, mate), (logits,))


def test_without_mixing_it_is_the_weighted_cross_entropy() -> None:
    signals = small_step_signals(network=small_network())
    expected = F.cross_entropy(signals.target_logits, signals.pseudo_labels)
    found = WeightedMixup(alpha=0)(small_step_signals(network=small_network()))
    torch.testing.assert_close(found, expected)


def test_images_and_labels_are_mixed_with_the_same_share_and_mate() -> None:
    """The loss on the step equals that of images mixed by hand with the numbers the step draws."""
    term, signals = WeightedMixup(alpha=1.0), small_step_signals(network=small_network())
    loss = term(signals)
    fresh = small_step_signals(network=small_network())
    mate = torch.randperm(12, generator=fresh.random)
    share = term.shares(12, fresh.random).float()
    images = torch.stack(
        [
            share[i] * fresh.target_images[i] + (1 - share[i]) * fresh.target_images[j]
            for i, j in enumerate(mate.tolist())
        ]
    )
    logits = fresh.answer(images).logits
    expected = mixed_loss(logits, share, fresh.pseudo_labels, fresh.pseudo_label_weights, mate)
    torch.testing.assert_close(loss, expected)
    assert ((share > 0) & (share < 1)).all() and len(set(share.tolist())) == 12


def test_wrong_options_are_named() -> None:
    with pytest.raises(UserError, match="weighted-mixup: alpha is -1"):
        WeightedMixup(-1)
    for options in ({"rounds": 0}, {"ridge": 0.0}):
        with pytest.raises(UserError, match=r"jmds: got rounds=.*expected rounds of at least 1 and a ridge above 0"):
            Jmds(**options)  # type: ignore[arg-type]


def test_recipe_learns_from_mixed_labels_alone() -> None:
    (phase,) = COWA_JMDS.phases
    assert phase.labeler is not None
    assert (phase.labeler.name, phase.labeler.weight) == ("jmds", 0)
    assert {name: part.weight for name, part in phase.aligners.items()} == {"weighted-mixup": 1.0}
