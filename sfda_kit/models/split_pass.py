"""A pass of a network over a batch that several processes share: each takes its part of the images.

Every process holds the same batch and asks for the same pass. Each runs the network on its own rows, and the outputs of
all rows are put together again in every process. So whoever asked has the answer to the whole batch, and a loss is a
loss over the whole batch. Outside a pass all processes hold the same values and the same gradients.

Gradients: let L be the loss, which every process computes. The outputs come back with the gradient dL/dy in every
process, and each process keeps that of its own rows, times the number P of processes. So the gradient of a weight is P
times the share of this process, and the mean over processes (``average_gradients``) is dL/dw. For a weight on which the
loss depends without a pass, each process has dL/dw, and so has the mean. The gradient with respect to the images is
gathered, so it is whole in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from sfda_kit import processes
from sfda_kit.errors import UserError
from sfda_kit.models.split_batch_norm import SplitBatchNorm

T = TypeVar("T")

_LARGE = 2**16
"""The number of values from which a gradient is exchanged by itself; smaller ones go together."""
_HANDLES_PARTS = "handles_parts"
"""The attribute of a hook that knows that it sees the rows of one process."""
_is_open = False


def shares(size: int) -> list[int]:
    """Return how many of ``size`` rows each process takes; the first ones take one more where it does not divide."""
    processes_, more = processes.count(), size % processes.count()
    return [size // processes_ + (rank < more) for rank in range(processes_)]


def own_rows(size: int) -> slice:
    """Return the rows of this process among ``size``."""
    sizes, rank = shares(size), processes.group().rank
    start = sum(sizes[:rank])
    return slice(start, start + sizes[rank])


def split_pass(answer: Callable[[Tensor], T], images: Tensor, module: nn.Module | None = None) -> T:
    """Return ``answer(images)``, for which each process computes its own part of the images (B, ...).

    ``answer`` returns a tensor or a tuple of tensors with one row for each image, and treats each image by itself but
    for BatchNorm, which takes the statistics of the whole batch. A pass is not split where there are fewer images than
    processes, where it is part of another one, and where somebody looks into ``module`` with a hook. Raises
    ``UserError`` where the pass draws random numbers, which would be others than those of a single process.
    """
    if processes.count() == 1:  # an exporter would take a look at the length for a length that never changes
        return answer(images)
    if not _is_split(len(images)) or _is_watched(module):
        return answer(images)
    with _opened(), SplitBatchNorm(), _no_random_numbers(images.device):
        outputs = answer(cast("Tensor", _Take.apply(images)))
    return cast("T", tree_map(lambda output: gathered(output, len(images)), outputs))


def split_rows(answer: Callable[[Tensor], T], size: int) -> T:
    """Return ``answer(rows)`` for the rows 0 to ``size``, of which each process takes its own; no pass in it is split.

    ``answer`` returns a tensor or a tuple of tensors with one row for each.
    """
    rows = torch.arange(size)
    if not _is_split(size):
        return answer(rows)
    with _opened():
        outputs = answer(rows[own_rows(size)])
    return cast("T", tree_map(lambda output: gathered(output, size), outputs))


def in_part() -> bool:
    """Return whether a pass over the rows of this process is under way."""
    return _is_open


def handles_parts(hook: Callable[..., T]) -> Callable[..., T]:
    """Mark a hook of a module that knows that it sees the rows of one process."""
    setattr(hook, _HANDLES_PARTS, True)
    return hook


def _is_split(size: int) -> bool:
    return processes.count() > 1 and not _is_open and size >= processes.count()


def _is_watched(module: nn.Module | None) -> bool:
    hooks = (
        hook
        for found in (module.modules() if module is not None else ())
        for hook in (*found._forward_hooks.values(), *found._forward_pre_hooks.values())
    )
    return any(not hasattr(hook, _HANDLES_PARTS) for hook in hooks)


@contextmanager
def _opened() -> Iterator[None]:
    global _is_open  # noqa: PLW0603
    _is_open = True
    try:
        yield
    finally:
        _is_open = False


@contextmanager
def _no_random_numbers(device: torch.device) -> Iterator[None]:
    before = _random_states(device)
    yield
    if any(not torch.equal(one, other) for one, other in zip(before, _random_states(device), strict=True)):
        raise UserError(
            "The network draws random numbers when it answers (dropout, stochastic depth), which several processes "
            "cannot draw as one does. Set its rate to 0, or start the run in one process."
        )


def _random_states(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


class _Take(torch.autograd.Function):
    """The rows of this process; the gradient of all rows is gathered."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.size = len(images)
        return images[own_rows(len(images))].clone(memory_format=torch.preserve_format)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _all_rows(gradients[0], ctx.size).div_(processes.count())


class _Gather(torch.autograd.Function):
    """The rows of all processes; each keeps the gradient of its own, times their number (see above)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, size: int) -> Tensor:
        ctx.size = size
        return _all_rows(rows, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][own_rows(ctx.size)] * processes.count(), None


def gathered(rows: Tensor, size: int) -> Tensor:
    """Return the ``size`` rows of all processes in order, of which ``rows`` are those of this one, with gradients."""
    if len(rows) != shares(size)[processes.group().rank]:
        raise UserError(
            f"Several processes share a pass, and its output has {len(rows)} rows for "
            f"{shares(size)[processes.group().rank]} images. Start the run in one process."
        )
    return cast("Tensor", _Gather.apply(rows, size))


def _all_rows(rows: Tensor, size: int) -> Tensor:
    sizes = shares(size)
    layout = torch.channels_last if _is_channels_last(rows) else torch.contiguous_format
    padded = rows.detach().movedim(1, -1) if layout is torch.channels_last else rows.detach()
    if len(rows) < sizes[0]:  # all parts have the same shape on their way
        padded = torch.cat([padded, padded.new_zeros(sizes[0] - len(rows), *padded.shape[1:])])
    parts = [torch.empty_like(padded, memory_format=torch.contiguous_format) for _ in sizes]
    dist.all_gather(parts, padded.contiguous())
    whole = torch.cat([part[:length] for part, length in zip(parts, sizes, strict=True)])
    return whole.movedim(-1, 1) if layout is torch.channels_last else whole


def _is_channels_last(rows: Tensor) -> bool:
    return rows.ndim == 4 and not rows.is_contiguous() and rows.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def average_gradients(groups: Iterable[dict[str, Any]]) -> None:
    """Replace the gradient of each parameter in the ``groups`` of an optimiser by its mean over all processes."""
    if processes.count() == 1:
        return
    gradients = [weight.grad for group in groups for weight in group["params"] if weight.grad is not None]
    small = [one for one in gradients if one.numel() < _LARGE]
    for one in gradients:
        if one.numel() >= _LARGE:
            _average(one)
    for kind in sorted({(str(one.device), str(one.dtype)) for one in small}):
        alike = [one for one in small if (str(one.device), str(one.dtype)) == kind]
        together = torch.cat([one.reshape(-1) for one in alike])
        _average(together)
        for one, mean in zip(alike, torch.split(together, [one.numel() for one in alike]), strict=True):
            one.copy_(mean.view_as(one))


def _average(values: Tensor) -> None:
    """Replace ``values`` by their mean over all processes. All processes hold them in the same order in memory."""
    dist.all_reduce(values)
    values.div_(processes.count())
