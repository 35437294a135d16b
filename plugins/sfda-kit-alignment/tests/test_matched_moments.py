"""standardise, coral and pairs-distillation: formulas against naive ones, and the network that comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from sfda_kit_alignment.feature_map import exact, fold_in_features, source_moments
from sfda_kit_alignment.matched_moments import Coral, Standardise, recolouring
from sfda_kit_alignment.pair_map import plain_classifier

from sfda_kit import AdaptedModel, Network, UserError, fill_bank
from sfda_kit.builtin.bridges import Copy
from sfda_kit.models.mixture import Mixture, MixtureMember
from sfda_kit.models.network import frozen_copy
from sfda_kit.testing import MethodConformance, RecipeConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SmallBackbone, small_network


class TestStandardise(MethodConformance):
    name = "standardise"


class TestCoral(MethodConformance):
    name = "coral"


class TestPairsDistillation(RecipeConformance):
    name = "pairs-distillation"


def network(bottleneck: int) -> Network:
    if bottleneck:
        return small_network().eval()
    return Network(SmallBackbone(), SmallBackbone.num_features, 0, 3).eval()


def covariances(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    samples = [torch.randn(30, 5, generator=generator, dtype=torch.float64) for _ in range(2)]
    return [torch.cov(one.T) for one in samples]


def test_recolouring_is_that_of_scipys_matrix_roots():
    own, wanted = covariances(0)
    whitened = np.linalg.inv(scipy.linalg.sqrtm(own.numpy() + 0.5 * np.eye(5)))
    expected = whitened @ scipy.linalg.sqrtm(wanted.numpy() + 0.5 * np.eye(5))
    np.testing.assert_allclose(recolouring(own, wanted, 0.5).numpy(), expected, atol=1e-10)


def test_with_little_ridge_the_covariance_becomes_that_of_the_source():
    own, wanted = covariances(1)
    matrix = recolouring(own, wanted, 1e-12)
    torch.testing.assert_close(matrix.T @ own @ matrix, wanted, atol=1e-8, rtol=0)


@pytest.mark.parametrize("bottleneck", [6, 0])
@torch.no_grad()
def test_a_folded_matrix_stands_before_the_classifier(bottleneck: int):
    before = network(bottleneck)
    images = torch.randn(9, 3, 16, 16)
    own = before(images).features.double()
    matrix, shift = torch.randn(own.shape[1], own.shape[1]).double(), torch.randn(own.shape[1]).double()
    after = frozen_copy(before)
    fold_in_features(after, matrix, shift)
    expected = plain_classifier(before)(own @ matrix + shift)
    torch.testing.assert_close(after(images).logits.double(), expected, atol=1e-4, rtol=1e-4)


def test_standardised_target_features_have_the_moments_of_the_source(tmp_path: Path):
    context = small_context(tmp_path)
    (state,) = Standardise().adapt(context)
    expected = source_moments(context.source_network, torch.zeros(0))
    deviation, mean = torch.std_mean(exact(state.bank.features), dim=0, correction=0)
    torch.testing.assert_close(mean, expected.mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(deviation, expected.deviation, atol=1e-4, rtol=1e-4)


def test_coral_is_the_formula_on_target_images_and_source_halves(tmp_path: Path):
    context = small_context(tmp_path)
    assert context.pairs is not None
    source = exact(fill_bank(context.source_network, context.pairs.source).features)
    before = exact(fill_bank(AdaptedModel(Copy(), context.source_network), context.target).features)
    (state,) = Coral(ridge=0.3).adapt(context)
    matrix = recolouring(torch.cov(before.T), torch.cov(source.T), 0.3)
    expected = (before - before.mean(0)) @ matrix + source_moments(context.source_network, source).mean
    torch.testing.assert_close(exact(state.bank.features), expected, atol=1e-3, rtol=1e-3)


def test_only_coral_needs_pairs_and_neither_takes_several_source_models(tmp_path: Path):
    with pytest.raises(UserError, match="coral takes the moments of the source from TI pairs and the task has none"):
        list(Coral().adapt(small_context(tmp_path, pairs=None)))
    assert len(list(Standardise().adapt(small_context(tmp_path / "other", pairs=None)))) == 1
    one, three = torch.ones(3), torch.arange(3)
    mixture = Mixture([MixtureMember(small_network(seed), three, one, 0 * one) for seed in (0, 1)])
    for method in (Coral(), Standardise()):
        with pytest.raises(UserError, match="several source models have their own each"):
            method.check(mixture)
    with pytest.raises(UserError, match="ridge is 0"):
        Coral(ridge=0)
