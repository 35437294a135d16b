"""The executor ``slurm``: job arrays through submitit, requeued when they reach their time limit."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import clean_env

from sfda_kit import Executor, Job, Outcome, UserError, explain_write_errors
from sfda_kit_slurm.cell_call import CellCall
from sfda_kit_slurm.queue import cancel
from sfda_kit_slurm.watch import outcomes

JOB_NAME = "sfda-kit"
LARGEST_ARRAY = 1000
"""Slurm's ``MaxArraySize`` is 1001 unless the site has set it."""
SHORTEST_MINUTES = 5
"""Slurm announces the end 90 seconds before, and may be a minute early."""


class SlurmExecutor(Executor):
    """This executor runs cells as elements of job arrays, at most ``workers`` at once.

    ``partition``: the site's default if None; ``gpus``, ``cpus`` (also the number of computing threads) and ``memory``
    (GB, None: the site's default) are those of one cell. ``processes``: how many work on one cell; they share its
    ``cpus`` and its ``gpus``, of which each needs one. ``minutes``: limit of one job; a cell that needs longer is
    requeued ``max_requeues`` times and continues where it stopped. ``sbatch``: further flags, such as
    ``--account=lab --constraint=a100``. ``folder``: pickled jobs and their output, on a file system that all nodes
    share; ``.slurm`` in the runs folder if None.

    Raises ``UserError`` when an option is out of range, Slurm is not there, or ``sbatch`` refuses the jobs.
    """

    def __init__(
        self,
        workers: int | None = None,
        partition: str | None = None,
        gpus: int = 0,
        cpus: int = 1,
        memory: float | None = None,
        minutes: int = 60,
        max_requeues: int = 3,
        sbatch: str = "",
        folder: str | Path | None = None,
        processes: int = 1,
    ) -> None:
        _expect_whole("processes", processes, 1)
        for name, value, least in (("workers", workers, 1), ("gpus", gpus, 0), ("cpus", cpus, processes)):
            _expect_whole(name, value, least)
        if gpus and processes > 1:
            _expect_whole("gpus", gpus, processes)
        _expect_whole("minutes", minutes, SHORTEST_MINUTES)
        _expect_whole("max_requeues", max_requeues, 0)
        if memory is not None and not (isinstance(memory, (int, float)) and memory > 0):
            raise UserError(f"The executor 'slurm' got memory={memory}; expected gigabytes, a number above 0.")
        super().__init__(workers)
        self.partition, self.gpus, self.cpus, self.memory = partition, gpus, cpus, memory
        self.processes = processes
        self.minutes, self.max_requeues = minutes, max_requeues
        self.flags, self.folder = _flags(sbatch), folder

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield outcomes as they come; closing the generator cancels the jobs."""
        if not shutil.which("sbatch"):
            raise UserError("There is no sbatch here. Run this where Slurm's commands are, such as on a login node.")
        for start in range(0, len(jobs), LARGEST_ARRAY):
            yield from self._array(jobs[start : start + LARGEST_ARRAY])

    def _array(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        submitted = self._submit(jobs)
        left = dict(zip((job.job_id for job in submitted), jobs, strict=True))
        try:
            for job_id, outcome in outcomes(dict(zip(left, submitted, strict=True)), left):
                del left[job_id]
                yield outcome
        finally:
            cancel(left)

    def _submit(self, jobs: Sequence[Job]) -> Sequence[Any]:
        folder = Path(self.folder or jobs[0].runs_dir / ".slurm").absolute()
        with explain_write_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is unpickled here is the user's own
        executor = submitit.SlurmExecutor(folder, max_num_timeout=self.max_requeues)
        executor.update_parameters(**self._parameters(len(jobs)))
        inside = "SLURM_JOB_ID" in os.environ  # else a job that submits passes on its own allocation
        try:
            with clean_env() if inside else nullcontext():
                submitted: Sequence[Any] = executor.submit_array(
                    [CellCall(job, self.cpus // self.processes, self.processes) for job in jobs]
                )
        except (FailedJobError, FailedSubmissionError) as error:
            raise UserError(
                f"sbatch refused the jobs: {str(error).strip()}. Check partition, gpus, cpus, memory, minutes "
                "and sbatch (--executor-option NAME=VALUE); `sinfo` lists the partitions."
            ) from error
        return submitted

    def _parameters(self, count: int) -> dict[str, Any]:
        given = {
            "partition": self.partition,
            "gpus_per_node": self.gpus or None,
            "mem": None if self.memory is None else f"{round(self.memory * 1024)}MB",
        }
        return {
            "job_name": JOB_NAME,
            "time": self.minutes,
            "cpus_per_task": self.cpus,
            # srun has taken no processors from sbatch since Slurm 22.05, and would bind a cell to one
            "srun_args": [f"--cpus-per-task={self.cpus}"],
            "array_parallelism": self.workers or count,
            "additional_parameters": {"requeue": True, **self.flags},
            **{name: value for name, value in given.items() if value is not None},
        }


def _flags(text: str) -> dict[str, Any]:
    """Parse flags such as ``--account=lab --exclusive`` into a mapping; raise ``UserError`` for what is no flag."""
    found: dict[str, Any] = {}
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not name.startswith("--") or len(name) < 3:
            raise UserError(
                f"The executor 'slurm' got sbatch={text!r}, in which {word!r} is no flag. "
                "Expected flags as sbatch knows them, such as: --account=lab --constraint=a100"
            )
        found[name[2:]] = value if equals else True
    return found


def _expect_whole(option: str, value: Any, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole and value >= least) and not (option == "workers" and value is None):
        raise UserError(f"The executor 'slurm' got {option}={value}; expected a whole number of at least {least}.")
