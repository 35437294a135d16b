"""Runs a cell in a process of its own and watches it; every executor calls this where the work is done."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import TypeAlias

from sfda_kit.bench.cell import encode
from sfda_kit.interfaces.executor import Job, Outcome

Process: TypeAlias = "subprocess.Popen[str]"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
KILLED = 9
"""The number of the signal that ends a process at once."""
LAST_WORDS = 2000
"""Number of characters kept from the end of a failed cell's output."""


def run_job(
    job: Job,
    threads: int | None = None,
    started: Callable[[Process], object] | None = None,
    environment: Mapping[str, str] | None = None,
    processes: int = 1,
) -> Outcome:
    """Run ``job`` to its end and say how its process ended.

    ``threads``: number of computing threads; None leaves the environment as it is. ``started`` receives the process,
    so that the caller can stop it; ``environment`` adds variables. If this call is interrupted, the cell stops too.
    ``processes``: how many work on the cell, each with ``threads``. They end when the one that ``started`` got does.
    """
    limits = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    variables = {**os.environ, **limits, **(environment or {})}
    command = [sys.executable, "-m", "sfda_kit.bench.cell", *([str(processes)] if processes > 1 else [])]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words, text=True, env=variables)
        try:
            if started:
                started(process)
            timed_out = _wait(process, job)
        finally:
            process.kill()
            process.wait()
        if not process.returncode or timed_out:
            return Outcome(job.key, timed_out=timed_out)
        words.seek(0)
        said = words.read()[-LAST_WORDS:].strip()
        return Outcome(job.key, said or _end_of(process.returncode))


def _end_of(code: int) -> str:
    if code == -KILLED:
        return (
            "its process was killed, as a system does where memory runs out: give fewer --workers or a smaller batch, "
            "and look with `sfda-kit run ... --memory` at what it takes"
        )
    return f"its process ended with exit code {code}"


def _wait(process: Process, job: Job) -> bool:
    """Send the job to the process and wait; return True when its time ran out first."""
    assert process.stdin is not None
    try:
        process.stdin.write(encode(job))
        process.stdin.flush()
    except BrokenPipeError:  # the process died before it read the job: its exit code says so
        pass
    try:
        process.wait(job.timeout_s)
    except subprocess.TimeoutExpired:
        return True
    return False
