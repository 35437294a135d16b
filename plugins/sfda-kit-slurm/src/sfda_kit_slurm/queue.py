"""Slurm's queue as its commands show it: ``squeue`` and ``scancel``, which need no accounting database."""

from __future__ import annotations

import subprocess
from collections.abc import Collection

FAILURES = {"BOOT_FAIL", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
ENDED = frozenset({"COMPLETED", "CANCELLED", "PREEMPTED", "REVOKED", *FAILURES})
"""States that a job leaves only when it is requeued; the queue then shows another state."""
FORGOTTEN = "no longer in the queue"
UNKNOWN_JOB = "Invalid job id"


def states(job_ids: Collection[str]) -> dict[str, str] | None:
    """Return the state by job id, ``FORGOTTEN`` for one the controller has dropped; None when it does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(arrays(job_ids))}"]
    done = subprocess.run([*command, "--format=%i|%T"], check=False, capture_output=True, text=True)
    if done.returncode and UNKNOWN_JOB not in done.stderr:
        return None
    shown = dict(line.strip().split("|", 1) for line in done.stdout.splitlines() if "|" in line)
    # squeue shows the waiting part of a cancelled array as one line, with the id of the array
    return {job_id: shown.get(job_id) or shown.get(array_of(job_id), FORGOTTEN) for job_id in job_ids}


def cancel(job_ids: Collection[str]) -> None:
    """Cancel what waits, then kill what runs, because Slurm would let it go on for a while without the second step."""
    if job_ids:
        ids = sorted(job_ids)
        for flags in (["--state=PENDING"], ["--signal=KILL", "--full"], []):
            subprocess.run(["scancel", "--quiet", *flags, *ids], check=False, capture_output=True)


def arrays(job_ids: Collection[str]) -> list[str]:
    """Return the ids of the job arrays, which are fewer than their elements."""
    return sorted({array_of(job_id) for job_id in job_ids})


def array_of(job_id: str) -> str:
    """Return ``12`` for ``12_3``; a job that is no element of an array is its own array."""
    return job_id.partition("_")[0]
