"""Several processes for one test: forked, so that nothing is imported again."""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from sfda_kit import processes

PATIENCE_S = 120.0
Work = Callable[[], Any]


def member(rank: int, count: int, place: str, work: Work, answers: Any) -> None:
    """One process: it joins the others, works, and tells what came out (an error as its text)."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    try:
        with processes.joined(torch.distributed.FileStore(place, count)):
            answers.put((rank, work()))
    except Exception as error:
        answers.put((rank, error if isinstance(error, AssertionError) else type(error)(str(error))))
        traceback.print_exc()


@pytest.fixture
def together(tmp_path: Path) -> Callable[[int, Work], list[Any]]:
    """``together(3, work)``: what ``work()`` returns in each of three processes, or the exception that it raises.

    Where a process is killed, the answer is None.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    context = multiprocessing.get_context("fork")

    def start(count: int, work: Work) -> list[Any]:
        answers, place = context.Queue(), str(tmp_path / f"meet-{len(list(tmp_path.iterdir()))}")
        members = [context.Process(target=member, args=(rank, count, place, work, answers)) for rank in range(count)]
        for one in members:
            one.start()
        found, limit = {}, time.monotonic() + PATIENCE_S
        while any(one.is_alive() for one in members) or not answers.empty():
            with suppress(queue.Empty):
                found |= [answers.get(timeout=0.02)]
            if time.monotonic() > limit:
                for one in members:
                    one.kill()
        return [found.get(rank) for rank in range(count)]

    return start
