"""T3A and TENT over three whole steps against loops written out here, and T3A's frozen state against its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from sfda_kit import AdaptConfig, Network, fill_bank, seeded_generator
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_target

from .golden import close, load

pytestmark = pytest.mark.needs_plugin("sfda-kit-tta")
CASES = ["k12_m20", "k12_m5", "k5_m1", "k7_all", "k2_m5", "k9_m5_absent", "k6_m5_foreign", "k6_m5_empty", "k10_b3"]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_frozen_classifier_answers_as_the_published_class_means(name: str, normalised: bool) -> None:
    from sfda_kit_tta.t3a import SupportSets, replace_weights

    case = load("t3a", name)
    features, weight, bias = (torch.from_numpy(case[f"in_{key}"]).double() for key in ("features", "weight", "bias"))
    classifier = nn.Linear(*reversed(weight.shape), dtype=weight.dtype).requires_grad_(False)
    classifier.load_state_dict({"weight": weight, "bias": bias})
    sets = SupportSets(classifier, int(case["in_support"]) or None)
    batches = torch.split(features, int(case["in_batch"]))
    for batch in batches:
        sets.add(batch, classifier(batch))
    frozen = weight_norm(classifier) if normalised else classifier
    replace_weights(frozen, sets.means())
    close(frozen(batches[-1]), case["out_answers_f64"][-len(batches[-1]) :], double=True)


def entropy(logits: Tensor) -> Tensor:
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


def answers_of_t3a(features: Tensor, classifier: nn.Linear, batches: list[Tensor], support: int) -> Tensor:
    """Answer every image in the authors' order: the batch joins, the supports are filtered, class means answer."""
    weight, bias = classifier.weight.detach(), classifier.bias.detach()
    answers = torch.zeros(len(features), len(weight))
    held = list(weight)
    for rows in batches:
        held += list(features[rows])
        kept: list[Tensor] = []
        for k in range(len(weight)):
            of_class = [z for z in held if int((weight @ z + bias).argmax()) == k]
            of_class.sort(key=lambda z: float(entropy(weight @ z + bias)))
            mean = sum((z / z.norm() for z in of_class[:support]), torch.zeros(weight.shape[1]))
            answers[rows, k] = features[rows] @ mean / max(float(mean.norm()), 1e-12)
            kept += of_class[:support]
        held = kept
    return answers


def test_three_steps_of_t3a(tmp_path: Path) -> None:
    from sfda_kit_tta.t3a import T3a

    context = small_context(tmp_path, config=AdaptConfig(batch_size=4))
    source = fill_bank(context.source_network, context.target)
    order = torch.randperm(12, generator=seeded_generator(0, "t3a"))
    (state,) = T3a(support=2).adapt(context)
    classifier: Any = context.source_network.classifier
    wanted = answers_of_t3a(source.features, classifier, list(torch.split(order, 4)), support=2)
    torch.testing.assert_close(state.bank.logits, wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(state.bank.predictions, wanted.argmax(dim=1))


def answers_of_tent(network: Network, batches: list[Tensor], rate: float) -> Tensor:
    """Answer each batch in training mode, then make a Nesterov step down its entropy over scale and shift."""
    network.train()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    learned = [parameter for norm in norms for parameter in norm.parameters()]
    speeds = [torch.zeros_like(parameter) for parameter in learned]
    answers = torch.zeros(sum(map(len, batches)), network.class_count)
    for rows in batches:
        logits = network(small_target().batch(rows)).logits
        answers[rows] = logits.detach()
        slopes = torch.autograd.grad(entropy(logits).mean(), learned)
        for parameter, speed, slope in zip(learned, speeds, slopes, strict=True):
            speed.mul_(0.9).add_(slope)
            parameter.data.sub_(rate * (slope + 0.9 * speed))
    return answers


def test_three_steps_of_tent(tmp_path: Path) -> None:
    from sfda_kit_tta.tent import Tent

    context = small_context(tmp_path, config=AdaptConfig(batch_size=4))
    order = torch.randperm(12, generator=seeded_generator(0, "tent", 0))
    (state,) = Tent(optimizer="sgd", lr=0.05).adapt(context)
    expected = small_network()
    wanted = answers_of_tent(expected, list(torch.split(order, 4)), rate=0.05)
    torch.testing.assert_close(state.bank.logits, wanted, rtol=1e-4, atol=1e-5)
    for name, parameter in expected.named_parameters():  # running statistics are taken anew after the pass
        torch.testing.assert_close(context.network.get_parameter(name), parameter, rtol=1e-5, atol=1e-5)
