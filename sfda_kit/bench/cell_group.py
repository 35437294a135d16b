"""The processes of one cell: the first starts the others, and they end when it does, in whatever way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sfda_kit.processes import joined

HOST = "127.0.0.1"


@contextmanager
def cell_group(count: int, line: str) -> Iterator[None]:
    """Work in ``count`` processes while open. The others get ``line``, the job, on their standard input.

    A process that was started so calls this too, and joins. The input of the others closes when this process ends.
    """
    if count == 1:
        yield
        return
    if "RANK" in os.environ:
        with joined(_meeting(int(os.environ["MASTER_PORT"]), count)):
            yield
        return
    store = _meeting(0, count)
    others = [_started(rank, count, store.port, line) for rank in range(1, count)]
    os.environ |= _numbered(0, count, store.port)
    try:
        with joined(store):
            yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _meeting(port: int, count: int) -> Any:
    """Return where the processes meet; port 0 is that of the first, which any free one becomes."""
    import torch.distributed as dist

    return dist.TCPStore(HOST, port, count, is_master=port == 0, wait_for_workers=False)  # type: ignore[attr-defined]


def _started(rank: int, count: int, port: int, line: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sfda_kit.bench.cell", str(count)]
    environment = {**os.environ, **_numbered(rank, count, port)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()
    return process


def _numbered(rank: int, count: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
    }
