"""The executor ``local``: processes on this computer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from sfda_kit.bench.process import Process, run_job
from sfda_kit.errors import UserError
from sfda_kit.interfaces.executor import Executor, Job, Outcome

MEMORY_OF_A_CELL = 3 * 2**30
"""Bytes of memory for one cell; they limit the number of workers where the user gives none."""


class Local(Executor):
    """Runs cells in ``workers`` processes of ``threads`` computing threads; default: what cores and memory allow.

    ``gpus``: identifiers such as ``0,1``, which the workers get in turn through ``CUDA_VISIBLE_DEVICES``. There are
    then by default as many workers as identifiers. ``processes``: how many work on one cell, each with ``threads``
    threads and, where there are ``gpus``, with one of them.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int | None = None,
        gpus: str | int | None = None,
        processes: int = 1,
    ) -> None:
        for name, value in (("workers", workers), ("threads", threads), ("processes", processes)):
            if value is not None and value < 1:
                raise UserError(f"The executor 'local' got {name}={value}; it needs at least 1.")
        identifiers = _sets([] if gpus is None else str(gpus).split(","), processes)
        cores, room = available_cores() // processes, memory() // (MEMORY_OF_A_CELL * processes)
        self.count = workers or len(identifiers) or max(1, min(cores // (threads or 1), room))
        self.threads, self.processes = threads or max(1, cores // self.count), processes
        super().__init__(self.count)
        self._slots: SimpleQueue[dict[str, str]] = SimpleQueue()
        for worker in range(self.count):
            one = {"CUDA_VISIBLE_DEVICES": identifiers[worker % len(identifiers)]} if identifiers else {}
            self._slots.put(one)
        self._running: set[Process] = set()
        self._stopping = threading.Event()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield outcomes as cells end; closing the generator kills the cells that run."""
        self._stopping.clear()
        pool = ThreadPoolExecutor(self.count)
        try:
            for done in as_completed([pool.submit(self._run, job) for job in jobs]):
                yield done.result()
        finally:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(self._running):
                process.kill()
            pool.shutdown()

    def _run(self, job: Job) -> Outcome:
        slot = self._slots.get()
        try:
            return run_job(job, self.threads, self._started, slot, self.processes)
        finally:
            self._slots.put(slot)

    def _started(self, process: Process) -> None:
        self._running.add(process)
        if self._stopping.is_set():
            process.kill()


def _sets(identifiers: list[str], size: int) -> list[str]:
    """Return ``identifiers`` in sets of ``size``, as CUDA_VISIBLE_DEVICES has them. Raises ``UserError``."""
    if len(identifiers) % size:
        raise UserError(
            f"The executor 'local' got processes={size} and {len(identifiers)} gpus; each process needs one of its own."
        )
    return [",".join(identifiers[start : start + size]) for start in range(0, len(identifiers), size)]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Return the bytes of main memory, or those of one cell where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return MEMORY_OF_A_CELL
