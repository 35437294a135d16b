"""The processes that work on one run together: who they are, and what the first of them tells the others.

A launcher (``torchrun``, ``accelerate launch``) starts the same command several times and numbers the processes through
environment variables. The command ``run`` joins them into a group. All processes do the same steps in the same order,
and only process 0 writes. Without a launcher there is one process, and every function here returns at once.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sfda_kit.errors import RunError, UserError

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

LONGEST_WAIT = timedelta(days=1)
"""How long a process waits for the others, which may have to wait for process 0 to decode a large data set."""
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""What Gloo says where another process is no longer there."""
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""The variables through which launchers number the processes of a group."""


@dataclass(frozen=True)
class ProcessGroup:
    """This is a group of ``count`` processes. This one has the number ``rank``, and ``local_rank`` on its computer."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0


_ALONE = ProcessGroup()
_joined = _ALONE


def launched() -> ProcessGroup:
    """Return the group that the variables of a launcher describe. Raises ``UserError`` where one is missing."""
    if not os.environ.get("WORLD_SIZE", "1").isdigit() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return _ALONE
    missing = [name for name in VARIABLES if name not in os.environ and name != "LOCAL_RANK"]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, so a launcher started several processes, but {missing[0]} is "
            "not set. Start them with torchrun or accelerate launch, or unset WORLD_SIZE."
        )
    rank = os.environ["RANK"]
    return ProcessGroup(int(rank), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", rank)))


def is_follower() -> bool:
    """Return whether a launcher started this process as another than the first, joined yet or not."""
    try:
        return launched().rank > 0
    except UserError:
        return False


def group() -> ProcessGroup:
    """Return the group that this process has joined, else one of a single process."""
    return _joined


def count() -> int:
    """Return the number of processes of the run."""
    return _joined.count


def is_first() -> bool:
    """Return whether this process is the one that writes and speaks; a single process is."""
    return _joined.rank == 0


@contextmanager
def joined(store: Any = None) -> Iterator[ProcessGroup]:
    """Join the processes of the launcher while open. Without a launcher nothing happens, and torch is not imported.

    ``store``: where they meet, by default what the variables name. Raises ``RunError`` where another process ended.
    """
    found = launched()
    if found.count == 1 or _joined.count > 1:
        yield _joined
        return
    import torch.distributed as dist

    _meet(found, store)
    try:
        yield _set(found)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(sign in str(error) for sign in LOST):
            raise RunError(f"Another process of this run has ended, see its message ({_line(error)}).") from error
        raise
    finally:
        _set(_ALONE)
    dist.destroy_process_group()  # not after an error, where it would wait for the others


def _meet(found: ProcessGroup, store: Any) -> None:
    import torch
    import torch.distributed as dist

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    named = {"store": store, "rank": found.rank, "world_size": found.count} if store is not None else {}
    try:
        dist.init_process_group(backend, timeout=LONGEST_WAIT, **named)
        dist.all_reduce(torch.zeros(1))  # all are there before one of them may end
    except dist.DistError as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(
            f"Process {found.rank} does not reach the others at {place} ({_line(error)}). All processes need the same "
            "MASTER_ADDR and MASTER_PORT, and a network in which they reach that address."
        ) from error


def _set(found: ProcessGroup) -> ProcessGroup:
    global _joined  # noqa: PLW0603  # a process belongs to one group at a time, as in torch.distributed
    _joined = found
    return found


@contextmanager
def alone() -> Iterator[None]:
    """Work as a single process while open: nothing is split, and nobody is waited for."""
    before = _joined
    _set(_ALONE)
    try:
        yield
    finally:
        _set(before)


def by_first(work: Callable[[], T]) -> T:
    """Return ``work()`` as process 0 does it alone; all processes get the result, or raise the exception."""
    if _joined.count == 1:
        return work()
    told: tuple[Any, Exception | None] = (None, None)
    if is_first():
        try:
            with alone():
                told = (work(), None)
        except Exception as error:
            _agree((None, _sendable(error)))
            raise
    found, failure = _agree(told)
    if failure is not None:
        failure.told = True  # process 0 shows it
        raise failure
    return found  # type: ignore[no-any-return]


def first_before_others(work: Callable[[], T]) -> T:
    """Return ``work()`` of this process; process 0 begins, and the others find in the cache what it has made."""
    found: list[T] = []
    by_first(lambda: found.append(work()))
    if not found:
        with alone():
            found.append(work())
    return found[0]


def agreed(value: T) -> T:
    """Return the ``value`` that process 0 has, so that all decide alike."""
    return value if _joined.count == 1 else _agree(value)


def _agree(value: Any) -> Any:
    import torch
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def _sendable(error: Exception) -> Exception:
    """Return ``error``, or one with its text where it cannot cross processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunError(f"{type(error).__name__}: {error}")
    return error


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def align(modules: Mapping[str, nn.Module]) -> None:
    """Give weights and buffers of ``modules`` the values that process 0 has, so that computers do not drift apart."""
    if _joined.count == 1:
        return
    import torch
    import torch.distributed as dist

    tensors = [one.detach() for module in modules.values() for one in (*module.parameters(), *module.buffers())]
    for kind in sorted({(str(one.device), str(one.dtype)) for one in tensors}):
        alike = [one for one in tensors if (str(one.device), str(one.dtype)) == kind]
        together = torch.cat([one.reshape(-1) for one in alike])
        dist.broadcast(together, src=0)
        if not is_first():
            for one, values in zip(alike, torch.split(together, [one.numel() for one in alike]), strict=True):
                one.copy_(values.view_as(one))
