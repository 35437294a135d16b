"""Adversarial learning by gradient reversal: shared by aligners and bridges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit.models.network import single_precision


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse_gradient(values: Tensor, factor: float = 1.0) -> Tensor:
    """Return ``values`` as they are; their gradient is multiplied by ``-factor``.

    Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016
    (https://arxiv.org/abs/1505.07818).
    """
    return _Reversal.apply(values, factor)  # type: ignore[no-any-return]


def domain_loss(
    discriminator: Callable[[Tensor], Tensor], reference: Tensor, moved: Tensor, factor: float = 1.0
) -> Tensor:
    """Return the mean of -log D(reference) and -log (1 - D(moved)) in nats, 0-d; log 2 where D cannot tell them apart.

    ``discriminator`` D gives logits of any shape. One descent step on the loss trains D to tell the two apart. It also
    trains whatever made ``moved`` to look like ``reference``: that gradient is multiplied by ``-factor``.
    """
    return domain_adversarial_loss(discriminator(reference), discriminator(reverse_gradient(moved, factor)))


def domain_adversarial_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return (mean -log D(x) + mean -log (1 - D(y))) / 2 >= 0 in nats, 0-d; log 2 where D cannot tell them apart.

    D(x) is the sigmoid of a discriminator's ``source_logits`` and D(y) that of its ``target_logits``, each of any
    shape. The discriminator descends. What made y ascends where the target logits are ``D(reverse_gradient(y,
    strength))``. Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016
    (https://arxiv.org/abs/1505.07818), section 4.2; the losses of both sides are averaged, not added.
    """
    told, mistaken = single_precision(source_logits), single_precision(target_logits)
    return 0.5 * (F.softplus(-told).mean() + F.softplus(mistaken).mean())
