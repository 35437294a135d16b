"""A mixture of source models against loops over its members."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import Recipe
from sfda_kit.adaptation.feature_bank import FeatureBank, fill_bank
from sfda_kit.adaptation.recipe_method import RecipeMethod
from sfda_kit.builtin.aligners import InfoMax, TiFeatures
from sfda_kit.builtin.bridges import Copy
from sfda_kit.builtin.centroid import Centroid
from sfda_kit.config.models import AdaptConfig
from sfda_kit.models.mixture import Mixture, MixtureMember, mixing_weights
from sfda_kit.models.network import AdaptedModel, Network, frozen_copy
from sfda_kit.models.shallow import shallow_features, shallow_width
from sfda_kit.plugins.discovery import build_part, registry
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SIDE, SmallBackbone, small_network
from sfda_kit.testing.signals import small_step_signals, small_target

pytestmark = pytest.mark.slow

ORDERS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
"""Each member's output for each class of the mixture."""
MEANS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4), (0.5, 0.5, 0.5))
STDS = ((0.2, 0.25, 0.3), (0.5, 0.4, 0.3), (0.5, 0.5, 0.5))
"""Each member's normalisation; the mixture's is the first's."""


def member(number: int, first: int = 0) -> MixtureMember:
    """A random network with classes in an order, and with a normalisation, of its own."""
    mean, std, own_mean, own_std = (torch.tensor(v) for v in (MEANS[first], STDS[first], MEANS[number], STDS[number]))
    network = small_network(number + 10)
    with torch.no_grad():  # a fresh network answers nearly the same for every image
        network.classifier.bias.normal_(0, 1, generator=torch.Generator().manual_seed(number))  # type: ignore[operator, union-attr]
    return MixtureMember(network, torch.tensor(ORDERS[number]), std / own_std, (mean - own_mean) / own_std)


def mixture(*numbers: int, weights: Sequence[float] = ()) -> Mixture:
    """Of the members ``numbers`` (all three), in training mode, with ``mixing`` as given."""
    found = Mixture([member(number) for number in numbers or (0, 1, 2)])
    if weights:
        with torch.no_grad():
            found.mixing.copy_(torch.tensor(weights))
    return found


def images(count: int = 6) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def own_answers(number: int, given: Tensor) -> tuple[Tensor, Tensor]:
    """Features and probabilities of one member alone, with its own normalisation and order of classes."""
    in_units = given * torch.tensor(STDS[0])[:, None, None] + torch.tensor(MEANS[0])[:, None, None]
    own = (in_units - torch.tensor(MEANS[number])[:, None, None]) / torch.tensor(STDS[number])[:, None, None]
    output = member(number).network.eval()(own)
    return output.features, output.logits.softmax(dim=1)


@torch.no_grad()
def test_predictions_are_the_weighted_sum_over_the_members() -> None:
    weights = [0.3, -1.0, 0.6]
    total = sum(math.exp(w) for w in weights)
    found = mixture(weights=weights).eval()(images()).logits.softmax(dim=1)
    for row in range(len(found)):
        for label in range(3):
            expected = 0.0
            for number, weight in enumerate(weights):
                own = own_answers(number, images())[1]
                expected += math.exp(weight) / total * own[row, ORDERS[number][label]].item()
            assert found[row, label].item() == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_logits_are_logarithms_of_the_mixed_probabilities() -> None:
    logits = mixture(weights=[1.0, 0.0, -1.0]).eval()(images()).logits
    torch.testing.assert_close(logits.exp().sum(dim=1), torch.ones(len(logits)))


@torch.no_grad()
def test_squared_distances_of_weighed_features_are_the_weighted_sum_over_the_members() -> None:
    network = mixture(weights=[0.3, -1.0, 0.6]).eval()
    weighed = network.weighed(network(images()).features)
    plain = network(images()).features
    owns = [own_answers(number, images())[0] for number in range(3)]
    for one in range(3):
        for other in range(3, 6):
            gaps = [(own[one] - own[other]).square().sum().item() for own in owns]
            expected = sum(alpha * gap for alpha, gap in zip(mixing_weights(network), gaps, strict=True))
            assert (weighed[one] - weighed[other]).square().sum().item() == pytest.approx(expected, rel=1e-4)
            assert (plain[one] - plain[other]).square().sum().item() == pytest.approx(sum(gaps) / 3, rel=1e-4)


@torch.no_grad()
def test_centroid_labels_weigh_the_members_distances() -> None:
    """Against a loop over images, classes and members, for labels of one Euclidean round."""
    network, generator = mixture(weights=[0.3, -1.0, 0.6]), torch.Generator().manual_seed(0)
    owns = [torch.randn(30, 6, generator=generator) for _ in range(3)]
    joined = network.weighed(torch.cat(owns, dim=1) / math.sqrt(3))
    bank = FeatureBank(joined, 2 * torch.randn(30, 3, generator=generator))
    expected = []
    for row in range(30):
        costs = [0.0, 0.0, 0.0]
        for label in range(3):
            membership = bank.probabilities[:, label]
            for alpha, own in zip(mixing_weights(network), owns, strict=True):
                centroid = (membership[:, None] * own).sum(0) / membership.sum()
                costs[label] += alpha * (own[row] - centroid).square().sum().item()
        expected.append(costs.index(min(costs)))
    assert set(bank.predictions.tolist()) == set(expected) == {0, 1, 2}
    assert Centroid(rounds=1, metric="euclidean")(bank).labels.tolist() == expected


@torch.no_grad()
def test_a_mixture_of_one_is_its_member() -> None:
    network = member(0).network.eval()
    alone = Mixture([member(0)]).eval()
    torch.testing.assert_close(alone(images()).features, network(images()).features, rtol=0, atol=0)
    torch.testing.assert_close(alone(images()).logits.softmax(1), network(images()).logits.softmax(1))
    assert (alone.feature_width, alone.class_count) == (network.feature_width, network.class_count)
    assert mixing_weights(alone) == (1.0,) and mixing_weights(network) == ()


@torch.no_grad()
def test_copies_of_one_model_are_like_that_model() -> None:
    single, copies = AdaptedModel(Copy(), member(0).network), AdaptedModel(Copy(), mixture(0, 0, 0))
    one, three = (fill_bank(model, small_target()) for model in (single, copies))
    torch.testing.assert_close(three.probabilities, one.probabilities)
    torch.testing.assert_close(torch.cdist(three.features, three.features), torch.cdist(one.features, one.features))
    for metric in ("cosine", "euclidean"):
        assert torch.equal(Centroid(metric=metric)(three).labels, Centroid(metric=metric)(one).labels)  # type: ignore[arg-type]


def socket_terms(network: Mixture, source: Mixture) -> dict[str, Tensor]:
    terms: dict[str, Any] = {
        "infomax": InfoMax(),
        "ti-features": TiFeatures("rms"),
        "bn-stats": build_part("aligner", "bn-stats"),
        "bn-stats official": build_part("aligner", "bn-stats", {"reduction": "sum"}),
    }
    signals = small_step_signals(network=network, source_network=frozen_copy(source), reads=("batch_statistics",))
    return {name: term(signals) for name, term in terms.items()}


@pytest.mark.needs_plugin("sfda-kit-socket")
def test_the_order_of_the_members_does_not_matter() -> None:
    weights = torch.tensor([0.3, -1.0, 0.6])
    order = [2, 0, 1]
    one = Mixture([member(number) for number in range(3)])
    other = Mixture([member(number) for number in order])
    with torch.no_grad():
        one.mixing.copy_(weights)
        other.mixing.copy_(weights[order])
    first, second = (fill_bank(AdaptedModel(Copy(), network), small_target()) for network in (one, other))
    torch.testing.assert_close(first.probabilities, second.probabilities)
    assert torch.equal(Centroid()(first).labels, Centroid()(second).labels)
    terms = socket_terms(one, copy.deepcopy(one)), socket_terms(other, copy.deepcopy(other))
    for name, value in terms[0].items():
        torch.testing.assert_close(value, terms[1][name], msg=name)


@pytest.mark.needs_plugin("sfda-kit-socket")
def test_statistics_of_every_member_count_and_the_first_layer_of_each_weighs_ten() -> None:
    """The official sum over a mixture is that of its members, each by itself."""
    network, source = mixture(0, 2), mixture(2, 0)
    found = socket_terms(network, source)
    signals = small_step_signals(network=network, source_network=frozen_copy(source), reads=("batch_statistics",))
    stem, stage, other_stem, other_stage = (
        (b.mean - s.mean).norm() + (b.variance - s.variance).norm()
        for b, s in zip(signals.batch_statistics, signals.source_statistics, strict=True)
    )
    torch.testing.assert_close(found["bn-stats official"], 10 * stem + stage + 10 * other_stem + other_stage)
    assert [s.is_first for s in signals.source_statistics] == [True, False, True, False]
    assert [s.is_first for s in signals.batch_statistics] == [True, False, True, False]


@pytest.mark.parametrize("name", ["infomax", "ti-features", "bn-stats"])
@pytest.mark.needs_plugin("sfda-kit-socket")
def test_gradients_of_a_term_reach_every_member(name: str) -> None:
    network = mixture(weights=[0.3, -1.0, 0.6])
    socket_terms(network, mixture())[name].backward()
    for backbone in network.backbones():
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())
    assert (network.mixing.grad is not None and bool(network.mixing.grad.abs().min() > 0)) == (name == "infomax")


def adapted(folder: Path, method: str, network: Network, **config: Any) -> tuple[Network, FeatureBank]:
    """After two epochs of ``method`` on random images."""
    part = registry().get("method", method).load()
    assert isinstance(part, Recipe)
    settings = AdaptConfig(epochs=2, batch_size=4, evaluation_batch_size=6, **config)
    context = small_context(folder, recipe=part, network=copy.deepcopy(network), config=settings)
    *_, state = RecipeMethod().adapt(context)
    return context.network, state.bank


@pytest.mark.parametrize("method", ["shot", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_weights_and_features_adapt_and_classifiers_stay(tmp_path: Path, method: str) -> None:
    before = mixture()
    after, _ = adapted(tmp_path, method, before)
    assert isinstance(after, Mixture)
    assert not torch.equal(after.mixing, before.mixing)
    for old, new in zip(before.classifier.parameters(), after.classifier.parameters(), strict=True):
        assert torch.equal(old, new)
    for parts in ("backbone", "bottleneck"):
        for old_part, new_part in zip(getattr(before, parts), getattr(after, parts), strict=True):
            assert changed(old_part, new_part), parts


def changed(old: nn.Module, new: nn.Module) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_the_weights_have_a_rate_of_their_own(tmp_path: Path) -> None:
    """Ten times that of the features, or none."""
    fixed, _ = adapted(tmp_path / "fixed", "shot", mixture(), mixing_lr_factor=0)
    slow, _ = adapted(tmp_path / "slow", "shot", mixture(), mixing_lr_factor=1)
    usual, _ = adapted(tmp_path / "usual", "shot", mixture())
    assert mixing_weights(fixed) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert usual.mixing is not None and slow.mixing is not None
    assert usual.mixing.abs().max() > 5 * slow.mixing.abs().max() > 0


@pytest.mark.parametrize("method", ["shot", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_adapting_in_another_order_gives_the_same_predictions(tmp_path: Path, method: str) -> None:
    forth, back = (Mixture([member(number, first=0) for number in order]) for order in ((0, 1), (1, 0)))
    one, first = adapted(tmp_path / "forth", method, forth)
    other, second = adapted(tmp_path / "back", method, back)
    assert mixing_weights(one) == pytest.approx(mixing_weights(other)[::-1], abs=1e-5)
    torch.testing.assert_close(first.probabilities, second.probabilities, rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", ["shot", "socket"])
@pytest.mark.needs_plugin(of="method")
def test_a_mixture_of_one_adapts_as_its_member_does(tmp_path: Path, method: str) -> None:
    _, single = adapted(tmp_path / "single", method, member(0).network)
    _, alone = adapted(tmp_path / "alone", method, Mixture([member(0)]))
    torch.testing.assert_close(alone.probabilities, single.probabilities, rtol=0, atol=1e-4)


def test_shallow_maps_of_all_members_are_joined_at_the_smallest_size() -> None:
    class Finer(SmallBackbone):
        """Its shallow maps are twice as wide and high."""

        def __init__(self) -> None:
            super().__init__()
            self.stage = nn.Sequential(nn.Conv2d(4, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())

    finer = Network(Finer(), Finer.num_features, 6, 3)
    network = Mixture([member(0), MixtureMember(finer, torch.arange(3), torch.ones(3), torch.zeros(3))]).eval()
    maps, output = shallow_features(network, images())
    own, _ = shallow_features(member(0).network.eval(), images())
    assert maps.shape == (6, shallow_width(network), *own.shape[2:])
    torch.testing.assert_close(maps[:, : own.shape[1]], own)
    torch.testing.assert_close(output.logits, network(images()).logits)
