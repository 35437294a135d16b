"""A Slurm job's call: it runs one cell, which goes on where it stopped when the job is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import replace

from submitit.core.utils import DelayedSubmission, UncompletedJobError

from sfda_kit import Job, Outcome, run_job

SLURMS_SIGNALS = (-signal.SIGTERM, -signal.SIGUSR1, -signal.SIGUSR2)
FOLLOWS_S = 120.0
"""Seconds within which Slurm does what its signal has announced; its ``KillWait`` is 30."""


class CellCall:
    """submitit pickles a cell call and calls it on the node, so it holds plain data until then."""

    def __init__(self, job: Job, threads: int, processes: int = 1) -> None:
        self.job, self.threads, self.processes = job, threads, processes
        self._process: subprocess.Popen[str] | None = None
        self._began = 0.0

    def __call__(self) -> Outcome:
        """Run the cell to its end, or until submitit's handler of signals ends this process."""
        self._began = time.monotonic()
        try:
            outcome = run_job(self.job, self.threads, self._started, processes=self.processes)
            self._await_slurm()
            return outcome
        except UncompletedJobError as error:  # the limit came more often than requeues are allowed
            return Outcome(self.job.key, str(error), timed_out=True)

    def checkpoint(self) -> DelayedSubmission:
        """Stop the cell, whose run keeps its last epoch, and return how to go on; called before a requeue."""
        if self._process:
            self._process.kill()
            # Not Popen.wait: this runs in a handler of signals, while the same thread holds its lock.
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(CellCall(self._rest(), self.threads, self.processes))

    def _rest(self) -> Job:
        """Return the job with the rest of its time; waiting in the queue does not count."""
        if self.job.timeout_s is None:
            return self.job
        return replace(self.job, timeout_s=max(1.0, self.job.timeout_s - (time.monotonic() - self._began)))

    def _await_slurm(self) -> None:
        """Wait if a signal that Slurm meant for this process has ended the cell: Slurm signals all processes of a job.

        That is no outcome: a requeue, a preemption or a kill of the job follows and ends this call.
        """
        if self._process and self._process.returncode in SLURMS_SIGNALS:
            time.sleep(FOLLOWS_S)

    def _started(self, process: subprocess.Popen[str]) -> None:
        self._process = process
