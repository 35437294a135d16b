"""JMDS and weight mixup against loops written from the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sfda_kit_neighbors.cowa_jmds import COWA_JMDS, WeightedMixup, draw_mixup, weighted_surprise
from sfda_kit_neighbors.jmds import Jmds, log_density, relative_gap
from torch import nn

from sfda_kit import FeatureBank, UserError
from sfda_kit.testing import AlignerConformance, LabelerConformance, RecipeConformance
from sfda_kit.testing.networks import CLASSES, small_network
from sfda_kit.testing.signals import small_bank, small_step_signals


class TestJmds(LabelerConformance):
    name = "jmds"


class TestWeightedMixup(AlignerConformance):
    name = "weighted-mixup"


class TestCowaJmds(RecipeConformance):
    name = "cowa-jmds"


def naive(bank: FeatureBank) -> tuple[list[int], list[float]]:
    """Labels and weights, one image and one class at a time."""
    features = bank.features.double().numpy()
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    model = bank.logits.double().softmax(dim=1).numpy()
    images, classes = model.shape
    membership, spread = model, np.full((images, classes), 1 / classes)
    for _ in range(2):
        joint = np.zeros((images, classes))
        for c in range(classes):
            mean = sum(membership[i, c] * features[i] for i in range(images)) / membership[:, c].sum()
            covariance = 1e-6 * np.eye(features.shape[1])
            for i in range(images):
                covariance += spread[i, c] * np.outer(features[i] - mean, features[i] - mean) / spread[:, c].sum()
            joint[:, c] = multivariate_normal(mean, covariance).logpdf(features) + math.log(membership[:, c].sum())
        membership = spread = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    labels = joint.argmax(axis=1)
    gaps = [min(joint[i, labels[i]] - joint[i, c] for c in range(classes) if c != labels[i]) for i in range(images)]
    weights = [gap / max(gaps) * model[i, labels[i]] for i, gap in enumerate(gaps)]
    return labels.tolist(), weights


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_labels_and_weights_are_the_published_ones(seed: int) -> None:
    bank = small_bank(seed)
    labels, weights = naive(bank)
    found = Jmds()(bank)
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
    features, labeler = bank.features.double(), Jmds()
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


def test_a_class_without_mass_is_given_no_image() -> None:
    """Its logits are so low that every membership underflows to 0."""
    bank = small_bank(classes=3)
    found = Jmds()(FeatureBank(bank.features, torch.cat([bank.logits, torch.full((40, 1), -1e4)], dim=1)))
    without = Jmds()(bank)
    assert torch.equal(found.labels, without.labels)
    assert found.weights.isfinite().all() and found.weights.max() > 0


def test_a_covariance_without_a_factor_gets_a_larger_ridge() -> None:
    centred = torch.eye(2, dtype=torch.float64)
    covariance = torch.diag(torch.tensor([1.0, -5e-5], dtype=torch.float64))
    expected = log_density(centred, torch.diag(torch.tensor([1.0001, 5e-5], dtype=torch.float64)))
    torch.testing.assert_close(log_density(centred, covariance), expected)


def test_gap_by_hand() -> None:
    posterior = torch.tensor([[-1.0, -3.0, -4.0], [-2.0, -1.5, -9.0], [-1.0, -1.0, -2.0]])
    assert relative_gap(posterior).tolist() == pytest.approx([1.0, 0.25, 0.0])
    assert relative_gap(torch.zeros(2, 1)).tolist() == [1.0, 1.0]
    assert relative_gap(torch.zeros(2, 3)).tolist() == [0.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_loss_is_the_published_one(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, targets = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    weights, p = torch.rand(5, generator=generator, dtype=torch.float64), logits.softmax(1)
    targets = targets.softmax(1)
    surprise = [-sum(float(targets[i, c]) * math.log(float(p[i, c]) + 1e-6) for c in range(3)) for i in range(5)]
    expected = sum(float(weights[i]) * surprise[i] for i in range(5)) / 5
    assert weighted_surprise(logits, targets, weights).item() == pytest.approx(expected)


def test_a_certain_mistake_costs_no_more_than_its_bound_and_has_no_gradient() -> None:
    logits = torch.tensor([[100.0, 0.0]], requires_grad=True)
    loss = weighted_surprise(logits, torch.tensor([[0.0, 1.0]]), torch.ones(1))
    assert loss.item() == pytest.approx(-math.log(1e-6), abs=1e-4)
    assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-6


def test_gradcheck() -> None:
    targets, weights = torch.rand(4, 3, dtype=torch.float64).softmax(1), torch.rand(4, dtype=torch.float64)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: weighted_surprise(z, targets, weights), (logits,))


def test_without_mixing_it_is_the_weighted_cross_entropy() -> None:
    signals = small_step_signals(network=small_network())
    expected = F.cross_entropy(signals.target_logits, signals.pseudo_labels)
    found = WeightedMixup(alpha=0)(small_step_signals(network=small_network()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)  # the epsilon


def test_images_and_labels_are_mixed_with_the_same_share_and_mate() -> None:
    """The loss on the step equals that of images mixed by hand with the numbers the step draws."""
    term, signals = WeightedMixup(alpha=1.0), small_step_signals(network=small_network())
    loss = term(signals)
    fresh = small_step_signals(network=small_network())
    share, mate = draw_mixup(fresh.target_images, 1.0, fresh.random)
    images, hot = fresh.target_images, torch.eye(CLASSES)[fresh.pseudo_labels]
    mixed = [share[i] * images[i] + (1 - share[i]) * images[j] for i, j in enumerate(mate.tolist())]
    targets = torch.stack([share[i] * hot[i] + (1 - share[i]) * hot[j] for i, j in enumerate(mate.tolist())])
    logits = fresh.answer(torch.stack(mixed)).logits
    torch.testing.assert_close(loss, weighted_surprise(logits, targets, torch.ones(12)))
    assert ((share > 0) & (share < 1)).all() and len(set(share.tolist())) == 12


def test_the_network_sees_mixed_images_alone() -> None:
    """Another pass would let BatchNorm take in the batch a second time."""
    network = small_network()
    WeightedMixup()(small_step_signals(network=network))
    counts = [int(m.num_batches_tracked) for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert counts and set(counts) == {1}


def test_wrong_options_are_named() -> None:
    with pytest.raises(UserError, match="weighted-mixup: alpha is -1"):
        WeightedMixup(-1)


def test_recipe_learns_from_mixed_labels_alone() -> None:
    (phase,) = COWA_JMDS.phases
    assert phase.labeler is not None
    assert (phase.labeler.name, phase.labeler.weight) == ("jmds", 0)
    assert {name: part.weight for name, part in phase.aligners.items()} == {"weighted-mixup": 1.0}
    assert (phase.train, phase.bank_view) == ("backbone+bottleneck+classifier", "test")
