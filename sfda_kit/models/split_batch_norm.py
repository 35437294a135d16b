"""BatchNorm in a pass that several processes share: statistics of the whole batch.

``torch.nn.SyncBatchNorm`` does this on GPUs alone, and other classes (timm's BatchNorm with an activation) would have
to be exchanged. Here the function that all of them call is replaced while a pass is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sfda_kit import processes


class SplitBatchNorm(TorchFunctionMode):
    """While open, ``batch_norm`` in training mode takes mean and variance over the rows of all processes."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, or its counterpart for several processes."""
        given = kwargs or {}
        return whole_batch_norm(*args, **given) if func is F.batch_norm else func(*args, **given)


def whole_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what ``torch.nn.functional.batch_norm`` does, with the arguments that it takes, over all processes' rows."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, variance, count = whole_moments(*local_moments(input))
    if count < 2:
        raise ValueError(f"BatchNorm has no variance over a single value in each channel, got shape {input.shape}")
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)
    return _Normalise.apply(input, mean, variance, weight, bias, eps, count)  # type: ignore[no-any-return]


def local_moments(values: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean and biased variance of each channel of ``values`` (b, C, ...) here, and their number in a channel."""
    values = values.detach()
    exact = values if values.dtype is torch.float64 else values.float()
    count = values.numel() // values.shape[1]
    if exact.device.type == "cpu":
        mean, variance = torch.batch_norm_update_stats(exact, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(exact, dim=[d for d in range(values.ndim) if d != 1], correction=0)
    return mean, variance, count


def whole_moments(mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """Return mean, biased variance and number of the values of all processes (Chan, Golub, LeVeque 1979)."""
    own = torch.cat([mean, variance, mean.new_tensor([count])])
    parts = [torch.empty_like(own) for _ in range(processes.count())]
    dist.all_gather(parts, own)
    table = torch.stack(parts)
    return pooled(table[:, :-1], table[:, -1:])


def pooled(moments: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean, biased variance and number of joined parts: ``moments`` (P, 2C) and ``counts`` (P, 1) of each."""
    means, variances = moments.chunk(2, dim=1)
    shares = counts / counts.sum()
    mean = (shares * means).sum(dim=0)
    return mean, (shares * (variances + (means - mean).square())).sum(dim=0), int(counts.sum())


class _Normalise(torch.autograd.Function):
    """The values of this process, normalised by the moments of all of them.

    The backward pass is that of BatchNorm (Ioffe and Szegedy 2015) with sums over all processes; the gradients of scale
    and shift are those of this process's rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        mean: Tensor,
        variance: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        count: int,
    ) -> Tensor:
        ctx.save_for_backward(values, mean, variance, weight)
        ctx.eps, ctx.count, ctx.of_bias = eps, count, None if bias is None else bias.dtype
        return torch.batch_norm(values, weight, bias, mean, variance, False, 0.0, eps, False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, mean, variance, weight = ctx.saved_tensors
        scale = torch.ones_like(mean) if weight is None else weight.to(mean)
        exact, inputs = gradient.to(mean), values.to(mean)  # 16 bits would lose what the sums take away
        changed, slopes, sums = torch.ops.aten.native_batch_norm_backward(
            exact, inputs, scale, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        together = torch.cat([sums, slopes]).to(mean)
        dist.all_reduce(together)
        of_sums, of_slopes = together.div_(ctx.count).chunk(2)
        inverse = (variance + ctx.eps).rsqrt()
        tilt = -scale * of_slopes * inverse.square()
        shift = -scale * of_sums * inverse - tilt * mean
        channel = (slice(None), *[None] * (values.ndim - 2))
        changed.add_(shift[channel]).addcmul_(inputs, tilt[channel])
        wanted = ctx.needs_input_grad
        return (
            changed.to(gradient),
            None,
            None,
            slopes.to(weight) if wanted[3] and weight is not None else None,
            sums.to(ctx.of_bias) if wanted[4] else None,
            None,
            None,
        )
