"""The executor ``ray``: one Ray task per cell, retried elsewhere when its node is lost."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sfda_kit import Executor, Job, Outcome, UserError, run_job
from sfda_kit_ray.cluster import connected, expect_room
from sfda_kit_ray.quiet import ray

FORWARDED = "SFDA_KIT_"
"""Prefix of the variables that cells get from us: a Ray worker has the environment of its node, not ours."""


class RayExecutor(Executor):
    """This executor runs cells as Ray tasks.

    ``address``: ``auto`` (the cluster of this node), ``HOST:PORT`` or ``ray://HOST:PORT``; None starts Ray on this
    computer and stops it at the end. ``cpus`` and ``gpus`` are what one cell takes, fractions included (two cells share
    a GPU at 0.5). ``cpus`` rounded down, at least 1, is the cell's number of computing threads. ``processes``: how many
    work on one cell; they share its threads, and its GPUs, of which each needs one. ``max_retries``: how often a cell
    is started again, where its run stopped, after its worker or node was lost; -1 for no bound.

    Raises ``UserError`` when an option is out of range, no cluster answers, or this computer cannot hold one cell.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        max_retries: int = 3,
        processes: int = 1,
    ) -> None:
        _expect("processes", processes, isinstance(processes, int) and processes >= 1, "1, 2, ...")
        _expect("workers", workers, workers is None or workers >= 1, "at least 1")
        _expect("cpus", cpus, _number(cpus) and cpus > 0, "a number above 0")
        _expect("gpus", gpus, _number(gpus) and gpus >= 0 and (gpus <= 1 or gpus % 1 == 0), "0 to 1 or a whole number")
        enough = gpus == 0 or processes == 1 or gpus >= processes
        _expect("gpus", gpus, enough, f"0, or one for each of {processes} processes")
        _expect("max_retries", max_retries, isinstance(max_retries, int) and max_retries >= -1, "-1, 0, 1, ...")
        super().__init__(workers)
        self.address, self.cpus, self.gpus, self.max_retries = address, cpus, gpus, max_retries
        self.processes = processes

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield outcomes as they come; closing the generator cancels the tasks, which ends their cells."""
        needs = {"CPU": self.cpus, "GPU": self.gpus}
        with connected(self.address):
            expect_room(needs, self.address)
            task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.max_retries)(run_cell)
            waiting = deque(jobs)
            running: dict[Any, Job] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < (self.workers or len(jobs)):
                        job = waiting.popleft()
                        threads = max(1, int(self.cpus) // self.processes)
                        running[task.remote(job, threads, _forwarded(), self.processes)] = job
                    (ended, *_), _ = ray.wait(list(running), num_returns=1)
                    yield _outcome(running.pop(ended), ended)
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)


def run_cell(job: Job, threads: int, environment: Mapping[str, str], processes: int = 1) -> Outcome:
    """Run ``job`` on a Ray worker; the cell has processes of its own, which end when this worker does."""
    return run_job(job, threads, environment=environment, processes=processes)


def _outcome(job: Job, reference: Any) -> Outcome:
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(job.key, f"Ray gave it up after its retries: {type(error).__name__}: {error}")
    return outcome


def _forwarded() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(FORWARDED)}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _expect(option: str, value: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(f"The executor 'ray' got {option}={value}; expected {expected}.")
