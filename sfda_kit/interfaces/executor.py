"""What an executor plugin provides: a place where the cells of a benchmark run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One cell as plain data, so that it crosses processes and machines.

    ``key``: content address, the same at every attempt; ``name``: for people; ``config``: a ``RunConfig``
    as JSON data; ``runs_dir``: absolute, on a file system that every worker sees; ``timeout_s``: None for
    no limit.
    """

    key: str
    name: str
    config: dict[str, Any]
    runs_dir: Path
    timeout_s: float | None = None
    trackers: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Outcome:
    """A job has ended. ``error`` is empty when its process ended by itself: the record says how it went.

    ``status``: ``timed_out`` and ``failed`` are what the core records where no record was written.
    """

    key: str
    error: str = ""
    timed_out: bool = False


class Executor(ABC):
    """Runs jobs with ``sfda_kit.run_job``, each in a process of its own.

    Required: ``run(jobs)``, a generator that starts all jobs, at most ``workers`` at once, and yields one
    ``Outcome`` a job as it ends, in any order. When the generator is closed it stops what is running. A
    job that is started again continues where its run stopped, so an executor may retry at will.

    ``workers`` None: as many as the place has room for. Further arguments are options of the user
    (``--executor-option NAME=VALUE``).

    Example::

        class OneByOne(Executor):
            def run(self, jobs):
                for job in jobs:
                    yield run_job(job)
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield one outcome a job. Raises ``UserError`` when the place cannot be reached."""
