"""Three whole steps of TENT against a loop written out here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfda_kit import AdaptConfig, Network, seeded_generator
from sfda_kit.testing.contexts import small_context
from sfda_kit.testing.networks import small_network
from sfda_kit.testing.signals import small_target

pytestmark = pytest.mark.needs_plugin("sfda-kit-tta")


def entropy(logits: Tensor) -> Tensor:
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


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
