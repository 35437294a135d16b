"""Cells as Slurm jobs: cancelled, requeued, at the end of their time."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import Executor, build_part
from sfda_kit.testing.jobs import (
    AGES,
    ended_once,
    events,
    in_background,
    small_job,
    wait_for,
    wait_for_epochs,
    wait_until_unlocked,
)

pytestmark = [pytest.mark.slow, *[pytest.mark.xdist_group("slurm"), pytest.mark.usefixtures("slurm", "sfda_cache")]]
SHORT = 5
"""Minutes: submitit takes a signal for the limit of so short a job, and for a preemption of longer ones."""
ENOUGH = 60
"""Epochs of a cell that a test finds under way and then waits for."""


def test_a_cancelled_job_is_told_and_its_cell_continues_when_asked_again(tmp_path: Path) -> None:
    job = small_job(tmp_path, epochs=ENOUGH)
    ended = in_background(executor().run([job]))
    wait_for_epochs(job)
    command("scancel", job_ids()[0])
    (outcome,) = ended.result(60)
    assert "ended without a result (CANCELLED)" in outcome.error
    assert not outcome.timed_out
    (outcome,) = executor().run([job])
    assert outcome.error == ""
    assert ended_once(job)
    assert len(events(job, "run")) == 2


def test_requeued_jobs_of_an_array_continue(tmp_path: Path) -> None:
    """One by its limit of time, through submitit; one by an administrator or a lost node."""
    jobs = [small_job(tmp_path, seed, ENOUGH) for seed in range(2)]
    ended = in_background(executor(minutes=SHORT).run(jobs))
    for job in jobs:
        wait_for_epochs(job)
    at_its_limit, by_others = job_ids("RUNNING")
    command("scancel", "--signal=USR2", at_its_limit)
    command("scontrol", "requeue", by_others)
    for job_id in (at_its_limit, by_others):
        wait_for(lambda job_id=job_id: job_id in job_ids("PENDING"), "the requeued job in the queue")
        command("scontrol", "update", f"jobid={job_id}", "starttime=now")  # it would rest for two minutes
    assert not ended.done(), "a requeue was taken for the end of a cell"
    assert {outcome.key: outcome.error for outcome in ended.result(120)} == {job.key: "" for job in jobs}
    assert all(ended_once(job) for job in jobs)
    assert [len(events(job, "run")) for job in jobs] == [2, 2]


def test_a_cell_that_needs_more_time_than_its_requeues_give_has_timed_out(tmp_path: Path) -> None:
    job = small_job(tmp_path, epochs=AGES)
    ended = in_background(executor(max_requeues=0, minutes=SHORT).run([job]))
    wait_for_epochs(job)
    command("scancel", "--signal=USR2", job_ids()[0])
    (outcome,) = ended.result(60)
    assert outcome.timed_out
    assert "too many times" in outcome.error
    wait_until_unlocked(job)


def executor(**options: Any) -> Executor:
    found: Executor = build_part("executor", "slurm", options)
    return found


def job_ids(state: str = "RUNNING,PENDING") -> list[str]:
    shown = command("squeue", "--noheader", "--array", f"--states={state}", "--format=%i")
    return shown.split()


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
