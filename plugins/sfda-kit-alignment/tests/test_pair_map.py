"""pair-map: closed forms against naive ones, the choice without labels, and the network that comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sfda_kit_alignment.feature_map import FeatureMap, Moments, PairFeatures, fold_in, ridge_solutions, source_moments
from sfda_kit_alignment.map_choice import choose, correlation, is_clearly_ahead, left_out_scores
from sfda_kit_alignment.pair_map import PairMap, correct_prior, plain_classifier
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

from sfda_kit import AdaptationContext, AdaptedModel, Event, Network, PairView, UserError, fill_bank
from sfda_kit.builtin.bridges import Copy
from sfda_kit.models.mixture import Mixture, MixtureMember
from sfda_kit.models.network import frozen_copy
from sfda_kit.testing import MethodConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SmallBackbone, small_network
from sfda_kit.testing.signals import small_pairs

PAIRS, UNLABELLED, WIDTH, CLASSES = 200, 150, 12, 5
RIDGES = (0.001, 0.1, 10.0)


class TestPairMap(MethodConformance):
    name = "pair-map"


class TestPairMapOfOneForm(MethodConformance):
    name = "pair-map"
    options: ClassVar = {"form": "plain", "ridge": 0.1, "prior": True}


def world(seed: int = 0, kept: float = 0.0, noise: float = 0.1) -> PairFeatures:
    """Source features are an unknown linear map of the input; the model's own ones hold the share ``kept`` of them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    inputs, target_inputs = 3 + 2 * normal(PAIRS, WIDTH), 3 + 2 * normal(UNLABELLED, WIDTH)
    truth, other = normal(WIDTH, WIDTH) / WIDTH**0.5, normal(WIDTH, WIDTH) / WIDTH**0.5
    own = kept * truth + (1 - kept) * other
    wanted = inputs @ truth + noise * normal(PAIRS, WIDTH)
    return PairFeatures(inputs, inputs @ own, wanted, target_inputs, target_inputs @ own, Moments.of(wanted))


def shuffled(features: PairFeatures, seed: int = 0) -> PairFeatures:
    order = torch.randperm(PAIRS, generator=torch.Generator().manual_seed(seed))
    return PairFeatures(**{**vars(features), "wanted": features.wanted[order]})


def classifier(seed: int = 0) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(WIDTH, CLASSES, dtype=torch.float64).requires_grad_(False)


def groups_of(pairs: int, each: int = 5) -> list[int]:
    return [number // each for number in range(pairs)]


@pytest.mark.parametrize(("rows", "width"), [(30, 7), (6, 9)])
def test_ridge_is_that_of_the_normal_equations(rows: int, width: int):
    inputs, wanted = torch.randn(rows, width).double(), torch.randn(rows, 4).double()
    x, y = inputs - inputs.mean(dim=0), wanted - wanted.mean(dim=0)
    strengths = [0.01, 3.0]
    for strength, (weight, shift) in zip(strengths, ridge_solutions(inputs, wanted, strengths), strict=True):
        naive = torch.linalg.solve(x.T @ x + strength * torch.eye(width).double(), x.T @ y)
        torch.testing.assert_close(weight, naive)
        torch.testing.assert_close(inputs.mean(dim=0) @ weight + shift, wanted.mean(dim=0))


@pytest.mark.parametrize("form", ["plain", "residual"])
def test_a_known_linear_map_is_found(form: str):
    features = world(noise=0.0)
    (found,) = features.maps(form, (1e-9,), torch.arange(PAIRS))
    mapped = found(features.inputs, features.own)
    scaled = [(values - values.mean(dim=0)) / values.std(dim=0) for values in (mapped, features.wanted)]
    torch.testing.assert_close(*scaled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", ["plain", "residual"])
def test_maps_are_those_of_the_formulas_step_by_step(form: str):
    features, ridge, rows = world(), 0.5, torch.arange(0, PAIRS, 3)
    everything, own = (
        torch.cat([features.target_inputs, features.inputs]),
        torch.cat([features.target_own, features.own]),
    )

    def standard(values: Tensor, over: Tensor) -> Tensor:
        return (values - over.mean(dim=0)) / over.std(dim=0, correction=0)

    def start(values: Tensor) -> Tensor:
        hat = standard(values, own) * features.source.deviation + features.source.mean
        return hat if form == "residual" else torch.zeros_like(values)

    inputs, wanted = standard(features.inputs[rows], everything), features.wanted[rows] - start(features.own[rows])
    x, y = inputs - inputs.mean(dim=0), wanted - wanted.mean(dim=0)
    weight = torch.linalg.solve(x.T @ x + ridge * len(rows) * torch.eye(WIDTH).double(), x.T @ y)

    def translated(values: Tensor, own: Tensor) -> Tensor:
        return start(own) + (standard(values, everything) - inputs.mean(dim=0)) @ weight + wanted.mean(dim=0)

    over = translated(features.target_inputs, features.target_own)
    expected = standard(translated(features.inputs, features.own), over)
    (found,) = features.maps(form, (ridge,), rows)
    torch.testing.assert_close(
        found(features.inputs, features.own), expected * features.source.deviation + features.source.mean
    )


def test_after_the_last_standardisation_target_images_have_the_moments_of_the_source():
    features = world()
    for form in ("plain", "residual"):
        (found,) = features.maps(form, (1.0,), torch.arange(PAIRS))
        made = Moments.of(found(features.target_inputs, features.target_own))
        torch.testing.assert_close(tuple(made), tuple(features.source))


def naive_scores(
    features: PairFeatures, classify: nn.Module, groups: Sequence[int], form: str, ridge: float
) -> list[float]:
    """The correlation of one map on each fold, one pair and one class at a time."""
    found = []
    for kept, left_out in GroupKFold(4).split(groups, groups=groups):
        assert not {groups[row] for row in kept} & {groups[row] for row in left_out}
        one = features.identity() if form == "identity" else features.maps(form, (ridge,), torch.from_numpy(kept))[0]
        mapped = [one(features.inputs[row], features.own[row]) for row in left_out]
        answers = [(classify(z), classify(features.wanted[row])) for z, row in zip(mapped, left_out, strict=True)]
        by_class = []
        for number in range(CLASSES):
            of_class = [[float(half[number] - half.mean()) for half in pair] for pair in answers]
            by_class.append(np.corrcoef(np.array(of_class).T)[0, 1])
        found.append(float(np.mean(by_class)))
    return found


def test_form_and_ridge_are_those_of_a_naive_loop_over_left_out_groups():
    features, classify, groups = world(kept=0.3, noise=2.0), classifier(), groups_of(PAIRS)
    chosen = choose(features, classify, groups, ridges=RIDGES, folds=4)
    means, folds = {}, {}
    for form in ("identity", "residual", "plain"):
        each = {ridge: naive_scores(features, classify, groups, form, ridge) for ridge in RIDGES}
        best = max(reversed(RIDGES), key=lambda ridge, each=each: float(np.mean(each[ridge])))  # type: ignore[misc]
        means[form], folds[form] = (best, float(np.mean(each[best]))), np.array(each[best])
    assert chosen.scores == pytest.approx({form: score for form, (_, score) in means.items()}, abs=1e-9)
    simplest = "identity"
    for form in ("residual", "plain"):
        gains = folds[form] - folds[simplest]
        if gains.mean() > 3 * (gains.var(ddof=1) * (1 / 4 + 1 / 3)) ** 0.5:
            simplest = form
    assert chosen.form == simplest != "identity"
    assert chosen.ridge == means[simplest][0]


def test_a_map_that_the_model_lacks_is_taken_and_one_that_it_has_is_not():
    groups = groups_of(PAIRS)
    assert choose(world(kept=0.0), classifier(), groups).form != "identity"
    assert choose(world(kept=1.0), classifier(), groups).form == "identity"


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_pairs_make_it_keep_out_of_the_way(seed: int):
    for kept in (0.0, 0.5):
        chosen = choose(shuffled(world(seed, kept), seed), classifier(seed), groups_of(PAIRS))
        assert chosen.form == "identity", chosen
        assert all(abs(score) < 0.15 for score in chosen.scores.values())


def test_few_groups_and_given_values_leave_nothing_to_choose():
    few = choose(world(), classifier(), groups_of(PAIRS, each=100))
    assert (few.form, few.ridge, few.scores) == ("identity", 0.0, {})
    one_form = choose(world(), classifier(), groups_of(PAIRS, each=100), forms=("plain",), ridges=RIDGES)
    assert (one_form.form, one_form.ridge) == ("plain", 10.0), "the most careful map"
    given = choose(world(), classifier(), groups_of(PAIRS), forms=("plain",), ridges=(0.5,))
    assert (given.form, given.ridge, given.scores) == ("plain", 0.5, {})


def test_identity_is_scored_once_and_others_for_each_ridge():
    scores = left_out_scores(world(), classifier(), groups_of(PAIRS), ("identity", "plain"), RIDGES, folds=5)
    assert {form: tuple(found.shape) for form, found in scores.items()} == {"identity": (1, 5), "plain": (3, 5)}


def test_correlation_knows_nothing_of_scale_offset_and_a_constant_class():
    logits = torch.randn(50, 4).double()
    assert correlation(3 * logits + 7, logits) == pytest.approx(1)
    assert correlation(-logits, logits) == pytest.approx(-1)
    assert correlation(torch.zeros(50, 4).double(), logits) == 0


def test_a_gain_must_exceed_three_corrected_standard_errors():
    base = torch.zeros(10).double()
    gains = torch.tensor([0.1, 0.3] * 5).double()  # mean 0.2, variance 0.0111, error 0.0484
    assert is_clearly_ahead(gains, base)
    assert not is_clearly_ahead(gains - 0.11, base)
    assert is_clearly_ahead(base + 0.1, base), "an even gain"
    assert not is_clearly_ahead(base, base)


def network(bottleneck: int) -> Network:
    if bottleneck:
        return small_network().eval()
    return Network(SmallBackbone(), SmallBackbone.num_features, 0, 3).eval()


@pytest.mark.parametrize("bottleneck", [6, 0])
@torch.no_grad()
def test_a_network_with_a_folded_map_answers_as_the_map_before_the_classifier(bottleneck: int):
    before = network(bottleneck)
    images = torch.randn(9, 3, 16, 16)
    inputs, own = before.backbone(images), before.bottleneck(before.backbone(images))
    width = own.shape[1]
    found = FeatureMap(torch.rand(width).double(), torch.randn(8, width).double(), torch.randn(width).double())
    expected = found(inputs.double(), own.double())
    after = frozen_copy(before)
    fold_in(after, found)
    output = after(images)
    torch.testing.assert_close(output.logits.double(), plain_classifier(before)(expected), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(output.features.double(), expected if bottleneck else own.double(), atol=1e-5, rtol=1e-4)


def test_source_moments_are_those_that_the_bottleneck_stores():
    with_bottleneck, without = network(6), network(0)
    with torch.no_grad():
        with_bottleneck.bottleneck[-1].weight.uniform_(-2, -1)  # type: ignore[index, union-attr]
    wanted = torch.randn(20, 8).double()
    stored = source_moments(with_bottleneck, wanted)
    torch.testing.assert_close(stored.deviation.float(), -with_bottleneck.bottleneck[-1].weight.detach())  # type: ignore[index, union-attr]
    torch.testing.assert_close(source_moments(without, wanted).mean, wanted.mean(dim=0))


def test_the_prior_divides_each_probability_by_the_root_of_its_mean():
    model = network(6)
    images = torch.randn(30, 3, 16, 16)
    before = model(images).logits.softmax(dim=1).detach()
    correct_prior(model, before)
    expected = F.normalize(before / before.mean(dim=0).sqrt(), p=1, dim=1)
    torch.testing.assert_close(model(images).logits.softmax(dim=1), expected)


def test_the_method_says_what_it_chose_and_the_identity_leaves_every_weight(tmp_path: Path):
    told: list[Event] = []
    context = small_context(tmp_path, listener=told.append)
    before = {name: value.clone() for name, value in context.network.state_dict().items()}
    (state,) = PairMap(form="identity").adapt(context)
    assert all(value.equal(before[name]) for name, value in state.model.network.state_dict().items())
    assert "takes the form identity" in told[-1].data["text"]
    source = fill_bank(AdaptedModel(Copy(), context.source_network), context.target, 6)
    assert state.bank.logits.equal(source.logits)


def test_groups_of_the_pairs_are_kept_together_where_they_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[Any] = []

    def spy(features: PairFeatures, classify: Any, groups: Sequence[int], *rest: Any) -> Any:
        seen.append(list(groups))
        return choose(features, classify, groups, *rest)

    monkeypatch.setattr("sfda_kit_alignment.pair_map.choose", spy)
    pairs = small_pairs()
    known = PairView(pairs.source, pairs.target, [3] * len(pairs))
    for given in (pairs, known):
        list(PairMap().adapt(small_context(tmp_path, pairs=given)))
    assert seen == [list(range(len(pairs))), [3] * len(pairs)]


def context_without_pairs(folder: Path) -> AdaptationContext:
    return small_context(folder, pairs=None)


def test_a_task_without_pairs_and_several_source_models_are_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="pair-map learns from TI pairs and the task has none"):
        list(PairMap().adapt(context_without_pairs(tmp_path)))
    one, three = torch.ones(3), torch.arange(3)
    mixture = Mixture([MixtureMember(small_network(seed), three, one, 0 * one) for seed in (0, 1)])
    with pytest.raises(UserError, match=r"several source models have their own each.*socket"):
        PairMap().check(mixture)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"form": "linear"}, "no form 'linear'"), ({"ridge": 0.0}, "ridge is 0.0"), ({"folds": 1}, "folds is 1")],
)
def test_wrong_options(options: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        PairMap(**options)
