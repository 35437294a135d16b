"""Wait for jobs: their results are files, and the queue names those that ended without a result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sfda_kit import Job, Outcome
from sfda_kit_slurm.queue import ENDED, FORGOTTEN, states

LOOK_S = 1.0
"""Seconds between two looks into the folder of results."""
ASK_S = 10.0
"""Seconds between two requests to Slurm's controller, which serves everybody."""
LATE_S = 15.0
"""Seconds that a shared file system may take to show the result of a job that has ended."""
LAST_WORDS = 2000


def outcomes(submitted: Mapping[str, Any], jobs: Mapping[str, Job]) -> Iterator[tuple[str, Outcome]]:
    """Yield job id and outcome of each of ``submitted`` (submitit's jobs by id), as they end."""
    watched = dict(submitted)
    queue = _Queue()
    while watched:
        found = _results(watched)
        lost = queue.lost([job_id for job_id in watched if job_id not in found])
        for job_id in found:
            yield job_id, _outcome(watched.pop(job_id), jobs[job_id])
        for job_id, state in lost.items():
            yield job_id, _without_result(watched.pop(job_id), jobs[job_id], state)
        if watched:
            time.sleep(LOOK_S)


class _Queue:
    """The queue is asked seldom; a job counts as ended without a result only after a while."""

    def __init__(self) -> None:
        self._asked = float("-inf")
        self._ended: dict[str, float] = {}
        self._silent = False

    def lost(self, job_ids: list[str]) -> dict[str, str]:
        """Return the state of those jobs that ended at least ``LATE_S`` ago."""
        now = time.monotonic()
        if not job_ids or now - self._asked < ASK_S:
            return {}
        self._asked = now
        known = states(job_ids)
        self._tell(known is None)
        over = {job_id: state for job_id, state in (known or {}).items() if state in ENDED or state == FORGOTTEN}
        if known is not None:
            self._ended = {job_id: self._ended.get(job_id, now) for job_id in over}
        return {job_id: state for job_id, state in over.items() if now - self._ended[job_id] >= LATE_S}

    def _tell(self, silent: bool) -> None:
        if silent and not self._silent:
            text = "Slurm's controller does not answer squeue; results are still looked for in their folder."
            logging.getLogger(__name__).warning(text)
        self._silent = silent


def _results(watched: Mapping[str, Any]) -> list[str]:
    """Return the ids with a result, by one listing for all, which also makes network file systems look anew."""
    folder = next(iter(watched.values())).paths.folder
    names = {path.name for path in folder.iterdir()}
    return [job_id for job_id, job in watched.items() if job.paths.result_pickle.name in names]


def _outcome(submitted: Any, job: Job) -> Outcome:
    error = submitted.exception()
    if error:
        return Outcome(job.key, _last(str(error)))
    outcome: Outcome = submitted.result()
    return outcome


def _without_result(submitted: Any, job: Job, state: str) -> Outcome:
    said = _last(submitted.stderr() or "")
    text = f"Slurm job {submitted.job_id} ended without a result ({state})" + (f": {said}" if said else "")
    return Outcome(job.key, text, timed_out=state == "TIMEOUT")


def _last(text: str) -> str:
    return text.strip()[-LAST_WORDS:]
