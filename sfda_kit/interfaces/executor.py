"""The contract of an executor: the place where the cells of a benchmark run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """A job is one cell as plain data, so that it can cross processes and machines.

    ``key``: content address, the same at every attempt; ``name``: for people; ``config``: a ``RunConfig`` as JSON data;
    ``runs_dir``: absolute, on a file system that all workers see; ``timeout_s``: None for no limit.
    """

    key: str
    name: str
    config: dict[str, Any]
    runs_dir: Path
    timeout_s: float | None = None
    trackers: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Outcome:
    """An outcome says that a job has ended.

    ``error``: empty when the process ended by itself, because the record then says how it went; ``timed_out``: whether
    the job ran past its limit. Where no record was written, the core records ``timed_out`` or ``failed``.
    """

    key: str
    error: str = ""
    timed_out: bool = False


class Executor(ABC):
    """An executor runs jobs with ``sfda_kit.run_job``, each in a process of its own.

    Required: ``run(jobs)``, a generator that starts all jobs, at most ``workers`` at once, and yields one ``Outcome``
    per job when it ends, in any order. The outcome of a job that cannot run says why. When the generator is closed, it
    stops what is running: no process works on, and no record is written. A job that is started again continues where
    its run stopped, so an executor may retry as often as it likes.

    ``workers`` None: as many as the place has room for. Other arguments are options (``--executor-option NAME=VALUE``).

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
        """Yield one outcome per job. Raises ``UserError`` when the place cannot be reached."""
