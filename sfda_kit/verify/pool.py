"""Checks of many files in several processes. A process that dies in a decoder costs one file."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sfda_kit.verify.file_checks import FileCheck, FileFacts, Look, look_at, quiet

CHUNK = 64
"""Files sent to a process at a time."""
ALONE = 4 * CHUNK
"""Up to this many files are checked in this process: starting others would take longer."""

Progress = Callable[[int, int], None]
"""It is called with the number of files done and of all files."""


def look_at_all(jobs: Sequence[FileCheck], look: Look, workers: int, progress: Progress) -> list[FileFacts]:
    """Check all files and return their facts in the order of ``jobs``."""
    if len(jobs) <= ALONE or workers < 1:
        facts = []
        for done, job in enumerate(jobs, start=1):
            with quiet():
                facts.append(look_at(job, look))
            progress(done, len(jobs))
        return facts
    chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
    return _in_processes(chunks, look, min(workers, len(chunks)), progress)


def _in_processes(
    chunks: Sequence[Sequence[FileCheck]], look: Look, workers: int, progress: Progress
) -> list[FileFacts]:
    total, done = sum(map(len, chunks)), 0
    idle: SimpleQueue[_Worker] = SimpleQueue()
    started = [_Worker(look) for _ in range(workers)]
    for worker in started:
        idle.put(worker)
    with ThreadPoolExecutor(workers) as threads:
        try:
            futures = {threads.submit(_look_with, idle, chunk): number for number, chunk in enumerate(chunks)}
            answers: dict[int, list[FileFacts]] = {}
            for future in as_completed(futures):
                answers[futures[future]] = future.result()
                done += len(answers[futures[future]])
                progress(done, total)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in started:
                worker.stop()
    return [facts for number in range(len(chunks)) for facts in answers[number]]


def _look_with(idle: SimpleQueue[_Worker], chunk: Sequence[FileCheck]) -> list[FileFacts]:
    worker = idle.get()
    try:
        return worker.look_at(chunk)
    finally:
        idle.put(worker)


@dataclass
class _Worker:
    """A child process, started when it is first needed and again after it has died."""

    look: Look
    process: subprocess.Popen[bytes] | None = field(default=None)

    def look_at(self, jobs: Sequence[FileCheck]) -> list[FileFacts]:
        """Return facts of files. If the process dies, each file is tried alone to find the one that kills it."""
        try:
            return self._ask(jobs)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.stop()
        if len(jobs) > 1:
            return [facts for job in jobs for facts in self.look_at([job])]
        facts = FileFacts(jobs[0].path)
        facts.add("decoder-died", "made the decoder's process die")
        return [facts]

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, jobs: Sequence[FileCheck]) -> list[FileFacts]:
        self.process = self.process or _start(self.look)
        questions, answers = self.process.stdin, self.process.stdout
        assert questions is not None and answers is not None
        _send(list(jobs), questions)
        facts: list[FileFacts] = pickle.load(answers)
        return facts


def _start(look: Look) -> subprocess.Popen[bytes]:
    """Start a plain child, which unlike multiprocessing works from any script, notebook or thread."""
    search = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "sfda_kit.verify.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libraries print raw names of files there
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    _send(look, process.stdin)
    return process


def _send(value: Any, pipe: Any) -> None:
    pickle.dump(value, pipe)
    pipe.flush()
