"""Cells that take seconds, for tests of executors, and checks of their run folders."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from filelock import FileLock

from sfda_kit.config.models import RunConfig
from sfda_kit.interfaces.executor import Job, Outcome
from sfda_kit.results.record import read_record
from sfda_kit.results.store import RunFolder

STAGE = "oracle"
"""The one built-in method that trains, so that these cells need no other plugin."""
AGES = 1_000_000
"""So many epochs that the cell does not end by itself in any test."""


def small_job(runs_dir: Path, seed: int = 0, epochs: int = 2) -> Job:
    """Return a cell on 27 pictures of 32 pixels; a hundred epochs take about four seconds."""
    config = {
        "method": STAGE,
        "seed": seed,
        "dataset": {
            "tr_classes": ("cube", "cone", "mug", "arch"),
            "minimum_images": 1,
            "options": {"scenes": 0.02},
        },
        "model": {"backbone": "test_resnet", "image_size": 32, "bottleneck": 16},
        "source": {"epochs": epochs, "floor": 0},
        "compute": {"pictures": False},
    }
    data = RunConfig.model_validate(config).model_dump(mode="json")
    return Job(f"seed-{seed}", f"{STAGE}, seed {seed}", data, runs_dir.absolute())


def broken_job(runs_dir: Path) -> Job:
    """Return a cell that cannot be resolved, with a message that names its method."""
    job = small_job(runs_dir, seed=999)
    return Job("broken", "broken", {**job.config, "method": "no-such-method"}, job.runs_dir)


def run_folders(job: Job) -> list[Path]:
    """Return the folders of this job's runs, found by its seed."""
    return sorted(job.runs_dir.glob(f"*-s{job.config['seed']}-*"))


def events(job: Job, kind: str) -> list[dict[str, Any]]:
    """Return the events of one kind in the logs of the job's runs, by folder and time."""
    logs = [folder / "events.jsonl" for folder in run_folders(job)]
    found = [json.loads(line) for log in logs if log.exists() for line in log.read_text().splitlines()]
    return [event for event in found if event["kind"] == kind]


def ended_once(job: Job) -> bool:
    """Return whether there is one run folder, one record with status ok, and every epoch once in its history."""
    (folder,) = run_folders(job)
    record = read_record(folder)
    epochs = [row["epoch"] for row in RunFolder(folder).history()]
    return record is not None and record.status == "ok" and epochs == [*range(1, job.config["source"]["epochs"] + 1)]


def wait_for(condition: Callable[[], object], what: str, at_most_s: float = 60.0) -> None:
    """Wait until ``condition`` holds; ``TimeoutError`` names what did not come within ``at_most_s`` seconds."""
    limit = time.monotonic() + at_most_s
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited {at_most_s:g} s for {what}")
        time.sleep(0.1)


def wait_for_epochs(job: Job, count: int = 1) -> None:
    """Wait until the job has ended ``count`` epochs."""
    wait_for(lambda: len(events(job, "epoch")) >= count, f"epoch {count} of {job.name}")


def wait_until_unlocked(job: Job) -> None:
    """Wait until no process works on the job's run any more; ``filelock.Timeout`` when one goes on."""
    (folder,) = run_folders(job)
    with FileLock(str(folder / ".lock")).acquire(timeout=60):
        pass


def in_background(outcomes: Iterable[Outcome]) -> Future[list[Outcome]]:
    """Collect ``outcomes`` in a thread, while the caller does something to the cells."""
    future: Future[list[Outcome]] = Future()

    def collect() -> None:
        try:
            future.set_result(list(outcomes))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=collect, daemon=True).start()
    return future
