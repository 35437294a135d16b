"""Gradient reversal: identity forward, a negated gradient backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse_gradient(values: Tensor, factor: float = 1.0) -> Tensor:
    """``values`` as they are; their gradient is multiplied by ``-factor``.

    Source: Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016
    (https://arxiv.org/abs/1505.07818).
    """
    return _Reversal.apply(values, factor)  # type: ignore[no-any-return]
