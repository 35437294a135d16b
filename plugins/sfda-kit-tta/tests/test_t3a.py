"""T3A against a case computed by hand and a loop over images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sfda_kit_tta.t3a import SupportSets, T3a
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from sfda_kit import AdaptConfig, UserError, fill_bank, replace_weights, seeded_generator
from sfda_kit.testing import MethodConformance
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import SmallBackbone, small_network
from sfda_kit.testing.signals import small_target


class TestT3a(MethodConformance):
    name = "t3a"


class TestT3aAll(MethodConformance):
    name = "t3a"
    options: ClassVar = {"support": None}


def linear(weights: list[list[float]]) -> nn.Linear:
    classifier = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor(weights))
        classifier.bias.zero_()
    return classifier


def test_by_hand() -> None:
    """w_0 = (2, 0), w_1 = (0, 1); z = (3, 4) has logits (6, 4): class 0, entropy 0.37, more than w_0's 0.09."""
    features, logits = torch.tensor([[3.0, 4.0]]), torch.tensor([[6.0, 4.0]])
    two = SupportSets(linear([[2, 0], [0, 1]]), support=2)
    assert two.means().tolist() == [[1, 0], [0, 1]]
    two.add(features, logits)
    torch.testing.assert_close(two.means(), torch.tensor([[0.8, 0.4], [0.0, math.sqrt(0.8)]]) / math.sqrt(0.8))
    torch.testing.assert_close(features @ two.means().T, torch.tensor([[4 / math.sqrt(0.8), 4.0]]))
    one = SupportSets(linear([[2, 0], [0, 1]]), support=1)
    one.add(features, logits)
    assert one.means().tolist() == [[1, 0], [0, 1]]
    # (0, 3) has logits (0, 3): class 1, entropy 0.19, less than w_1's 0.58, and takes its place.
    one.add(torch.tensor([[-0.6, 3.0]]), torch.tensor([[-1.2, 3.0]]))
    torch.testing.assert_close(one.means()[1], F.normalize(torch.tensor([-0.6, 3.0]), dim=0))


def entropy(logits: Tensor) -> float:
    return -sum(p * math.log(p) for p in logits.double().softmax(0).tolist() if p > 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 6), st.booleans())
def test_sets_are_the_papers(seed: int, support: int, everything: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    classifier = linear(torch.randn(3, 4, generator=generator).tolist())
    sets = SupportSets(classifier, None if everything else support)
    members: list[list[tuple[float, Tensor]]] = [[], [], []]
    for w in classifier.weight.detach():
        members[int(classifier(w).argmax())].append((entropy(classifier(w)), F.normalize(w, dim=0)))
    for _ in range(4):
        features = torch.randn(5, 4, generator=generator)
        logits = classifier(features).detach()
        sets.add(features, logits)
        for z, answer in zip(features, logits, strict=True):
            members[int(answer.argmax())].append((entropy(answer), F.normalize(z, dim=0)))
        for k in range(3):
            members[k] = sorted(members[k], key=lambda member: member[0])[: None if everything else support]
            total = sum((z for _, z in members[k]), torch.zeros(4))
            expected = total / total.norm() if members[k] else total
            torch.testing.assert_close(sets.means()[k], expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.permutations(range(6)))
def test_order_within_a_batch_does_not_matter(seed: int, order: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    classifier, features = linear([[1, 0, 1], [0, 1, -1]]), torch.randn(6, 3, generator=generator)
    straight, permuted = SupportSets(classifier, 2), SupportSets(classifier, 2)
    straight.add(features, classifier(features).detach())
    permuted.add(features[order], classifier(features[order]).detach())
    torch.testing.assert_close(straight.means(), permuted.means())


@pytest.mark.parametrize("bottleneck", [6, 0])
def test_answers_are_given_as_images_come_and_the_last_state_is_frozen(tmp_path: Path, bottleneck: int) -> None:
    network = small_network()
    if not bottleneck:  # an imported plain classifier
        network.bottleneck, network.classifier = nn.Identity(), nn.Linear(SmallBackbone.num_features, 3)
    context = small_context(tmp_path, network=network, config=AdaptConfig(batch_size=5))
    source = fill_bank(context.source_network, context.target)
    sets = SupportSets(context.source_network.classifier, None)  # type: ignore[arg-type]
    (state,) = T3a(support=None).adapt(context)
    order = torch.randperm(12, generator=seeded_generator(0, "t3a"))
    for rows in (order[:5], order[5:10], order[10:]):
        sets.add(source.features[rows], source.logits[rows])
        torch.testing.assert_close(state.bank.logits[rows], source.features[rows] @ sets.means().T)
    frozen = fill_bank(state.model, context.target)
    torch.testing.assert_close(frozen.logits, source.features @ sets.means().T, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(frozen.logits[order[:5]], state.bank.logits[order[:5]], atol=1e-3)
    assert torch.equal(state.bank.features, source.features)


def test_only_the_classifier_changes(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    list(T3a().adapt(context))
    before, after = small_network().state_dict(), context.network.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed and all(name.startswith("classifier.") for name in changed)


@pytest.mark.parametrize("normalised", [True, False])
def test_replaced_weights_answer_as_they_say(normalised: bool) -> None:
    classifier = weight_norm(nn.Linear(4, 3)) if normalised else nn.Linear(4, 3)
    names = list(classifier.state_dict())
    weights, features = torch.randn(3, 4), torch.randn(5, 4)
    weights[1] = 0  # a class without supports
    replace_weights(classifier, weights, torch.zeros(3))
    torch.testing.assert_close(classifier(features), features @ weights.T)
    assert list(classifier.state_dict()) == names


def test_it_says_what_is_scored(tmp_path: Path) -> None:
    told: list[str] = []
    context = small_context(tmp_path, listener=lambda event: told.append(str(event.data.get("text"))))
    list(T3a().adapt(context))
    assert any("held-out figures those of the final state, frozen" in text for text in told)


def test_a_single_image_is_answered(tmp_path: Path) -> None:
    (state,) = T3a().adapt(small_context(tmp_path, target=small_target(images=1)))
    assert state.bank.logits.isfinite().all()


def test_wrong_support_is_named() -> None:
    with pytest.raises(UserError, match=r"t3a: support is 0, expected .*at least 1, or null"):
        T3a(0)
