"""What a user is told when Slurm cannot do what was asked, and what is asked of Slurm."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sfda_kit_slurm import queue
from sfda_kit_slurm.cell_call import CellCall

from sfda_kit import Job, UserError, build_part
from sfda_kit.testing.jobs import in_background, small_job, wait_for


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("workers", 0, "a whole number of at least 1"),
        ("cpus", 0.5, "a whole number of at least 1"),
        ("gpus", -1, "a whole number of at least 0"),
        ("minutes", 1, "a whole number of at least 5"),
        ("max_requeues", "many", "a whole number of at least 0"),
        ("memory", 0, "gigabytes, a number above 0"),
        ("processes", 0, "a whole number of at least 1"),
    ],
)
def test_an_option_out_of_range_is_named(option: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError, match=f"'slurm' got {option}={value}; expected {expected}"):
        build_slurm(**{option: value})


def test_each_process_of_a_cell_needs_a_processor() -> None:
    with pytest.raises(UserError, match="got cpus=1; expected a whole number of at least 2"):
        build_slurm(processes=2)


def test_what_is_no_flag_of_sbatch_is_named() -> None:
    with pytest.raises(UserError, match="in which 'account=lab' is no flag"):
        build_slurm(sbatch="--exclusive account=lab")


def test_no_slurm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="There is no sbatch here"):
        list(build_slurm().run([small_job(tmp_path)]))


def test_sbatch_refuses(slurm: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)sbatch refused the jobs: .*nowhere.*`sinfo` lists the partitions"):
        list(build_slurm(partition="nowhere").run([small_job(tmp_path)]))


@pytest.mark.slow
def test_options_reach_slurm(slurm: None, tmp_path: Path) -> None:
    options = {"cpus": 2, "memory": 1.5, "minutes": 30, "partition": "all", "sbatch": "--comment='two words' --hold"}
    ended = in_background(build_slurm(workers=1, **options).run([small_job(tmp_path, seed) for seed in range(2)]))
    scripts = tmp_path / ".slurm"

    def own() -> str:  # Slurm remembers the jobs of other tests for a while
        jobs = command("scontrol", "--oneliner", "show", "job").splitlines()
        return "\n".join(job for job in jobs if "Comment=two words" in job)

    wait_for(lambda: bool(own()), "the job")
    shown = own()
    for fact in ("JobName=sfda-kit", "Partition=all", "TimeLimit=00:30:00", "NumCPUs=2", "MinMemoryNode=1.50G"):
        assert fact in shown, shown
    assert "ArrayTaskThrottle=1" in shown
    assert "Requeue=1" in shown
    (script,) = scripts.glob("*_submission.sh")
    assert "--cpus-per-task=2" in script.read_text().partition("srun")[2], "srun would take one processor"
    assert scripts.stat().st_mode & 0o077 == 0, "others may read or write what will be unpickled"
    command("scancel", "--user=root")
    assert ["CANCELLED" in outcome.error for outcome in ended.result(60)] == [True, True]


def test_a_requeued_cell_has_what_is_left_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    call = CellCall(replace(small_job(tmp_path), timeout_s=50), threads=1)
    call._began = 90.0
    assert rest(call).timeout_s == 40
    now[0] = 1000.0
    assert rest(call).timeout_s == 1
    assert rest(CellCall(small_job(tmp_path), threads=1)).timeout_s is None


def test_a_silent_controller_is_no_end_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(tmp_path, monkeypatch, "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert queue.states(["7_0"]) is None


def test_a_job_that_left_the_queue_is_known_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(tmp_path, monkeypatch, "echo '7_0|RUNNING'")
    assert queue.states(["7_0", "7_1"]) == {"7_0": "RUNNING", "7_1": queue.FORGOTTEN}
    answer(tmp_path, monkeypatch, "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queue.states(["7_0"]) == {"7_0": queue.FORGOTTEN}


def answer(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A squeue that does ``script``."""
    program = folder / "squeue"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def rest(call: CellCall) -> Job:
    found: Job = call.checkpoint().function.job
    return found


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def build_slurm(**options: Any) -> Any:
    return build_part("executor", "slurm", options)
