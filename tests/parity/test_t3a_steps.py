"""Three batches of T3A, and what it leaves behind, against a loop in the order of the authors' code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import AdaptConfig, fill_bank, replace_weights, seeded_generator
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import CLASSES, SmallBackbone, small_network
from sfda_kit.testing.signals import small_target

from .golden import cases, close, load

pytestmark = pytest.mark.needs_plugin("sfda-kit-tta")


def entropy(logits: Tensor) -> float:
    return -sum(p * math.log(p) for p in logits.double().softmax(0).tolist())


class NaiveT3a:
    """The supports of each class in a list of its own; ``classifier`` is the source model's."""

    def __init__(self, classifier: nn.Module, rows: Tensor, support: int) -> None:
        self.classifier, self.support = classifier, support
        self.members: list[list[tuple[float, Tensor]]] = [[] for _ in rows]
        self.join(rows)

    def join(self, vectors: Tensor) -> None:
        for vector in vectors:
            answer = self.classifier(vector)
            self.members[int(answer.argmax())].append((entropy(answer), vector))

    def batch(self, features: Tensor) -> Tensor:
        self.join(features)
        self.members = [sorted(found, key=lambda member: member[0])[: self.support] for found in self.members]
        return self.answer(features)

    def answer(self, features: Tensor) -> Tensor:
        means = []
        for found in self.members:
            total = sum((s / s.norm() for _, s in found), torch.zeros_like(features[0]))
            means.append(total / max(float(total.norm()), 1e-12))
        return features @ torch.stack(means).T


@pytest.mark.parametrize("is_empty", [False, True], ids=["plain", "a class without supports"])
@pytest.mark.parametrize("is_normalised", [True, False], ids=["weight normalisation", "plain classifier"])
@torch.no_grad()
def test_three_batches_of_t3a(is_normalised: bool, is_empty: bool, tmp_path: Path) -> None:
    """The shipped method: the answers of the stream, then those of the frozen classifier that it leaves."""
    from sfda_kit_tta.t3a import T3a

    network, target = small_network(), small_target(images=12)
    if not is_normalised:
        network.bottleneck, network.classifier = nn.Identity(), nn.Linear(SmallBackbone.num_features, CLASSES)
    if is_empty:
        network.classifier.bias[1] -= 50  # type: ignore[index] # nobody is predicted as class 1, not even w_1
    context = small_context(tmp_path, network=network, target=target, config=AdaptConfig(batch_size=5))
    classifier: nn.Module = context.source_network.classifier
    features = fill_bank(context.source_network, target).features.clone()
    (state,) = T3a(support=2).adapt(context)

    naive = NaiveT3a(classifier, classifier.weight, support=2)  # type: ignore[arg-type]
    for rows in torch.randperm(12, generator=seeded_generator(0, "t3a")).split(5):
        torch.testing.assert_close(state.bank.logits[rows], naive.batch(features[rows]), rtol=1e-5, atol=1e-5)
    assert any(not found for found in naive.members) == is_empty
    frozen, wanted = fill_bank(state.model, target), naive.answer(features)
    torch.testing.assert_close(frozen.logits, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(frozen.predictions, wanted.argmax(dim=1))


@pytest.mark.parametrize("is_normalised", [True, False], ids=["weight normalisation", "plain classifier"])
@pytest.mark.parametrize("name", [name for name in cases("t3a") if name != "k7_minus_one"])
@torch.no_grad()
def test_the_frozen_classifier_gives_the_published_answers(name: str, is_normalised: bool) -> None:
    """To the last batch, whose answers are those of the final class means."""
    from sfda_kit_tta.t3a import SupportSets

    case = load("t3a", name)
    weight, bias, features = (torch.from_numpy(case[f"in_{key}"]).double() for key in ("weight", "bias", "features"))
    classifier = nn.Linear(*reversed(weight.shape), dtype=torch.float64)
    classifier.load_state_dict({"weight": weight, "bias": bias})
    sets = SupportSets(classifier, int(case["in_support"]) or None)
    batches = features.split(int(case["in_batch"]))
    for batch in batches:
        sets.add(batch, classifier(batch))
    if is_normalised:
        nn.utils.parametrizations.weight_norm(classifier)
    replace_weights(classifier, sets.means(), torch.zeros_like(bias))
    close(classifier(batches[-1]), case["out_answers_f64"][-len(batches[-1]) :], True)
