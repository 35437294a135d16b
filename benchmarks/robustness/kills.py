"""Kills of a run, before each of its writes and at random moments; then the run continues and must end the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

from child import FAILED, REFUSED, ended, in_child, killed_at_write
from outcomes import Outcomes, timed
from small_run import result_of, small_run

from sfda_kit.results.abandoned import remove_abandoned

SECONDS = 120
"""The number of seconds after which a run counts as hanging."""


def undisturbed(folder: Path) -> Path:
    """Return the folder of a run that nothing disturbs; its writes are counted in ``writes``."""
    place = emptied(folder / "undisturbed")
    ended(in_child(lambda: work(place), folder / "log", killed_at_write(0, folder / "writes")), folder / "log")
    return place


def kill_runs(outcomes: Outcomes, folder: Path, expected: dict[str, Any], most: int, seed: int = 0) -> None:
    """Kill ``most`` runs, half of them before a write; each must continue to the result of an undisturbed one."""
    writes = (folder / "writes").stat().st_size
    rng = random.Random(seed)
    chosen = range(1, writes + 1) if writes <= most // 2 else sorted(rng.sample(range(1, writes + 1), most // 2))
    with timed(outcomes, "kills before writes"):
        for number in chosen:
            place = emptied(folder / "killed")
            ended(in_child(lambda: work(place), folder / "log", killed_at_write(number)), folder / "log")  # noqa: B023
            continued(outcomes, "kill before a write", place, expected, folder / "log", f"write {number} of {writes}")
    with timed(outcomes, "kills at random moments"):
        for number in range(most - len(chosen)):
            place = emptied(folder / "killed")
            sent = signal.SIGTERM if number % 5 == 4 else signal.SIGINT if number % 5 == 3 else signal.SIGKILL
            ended(in_child(lambda: work(place), folder / "log"), folder / "log", rng.uniform(0.05, 6), sent)  # noqa: B023
            continued(outcomes, f"{sent.name} at a random moment", place, expected, folder / "log", str(number))


def work(place: Path) -> None:
    """Run, or continue, in ``place``."""
    os.environ["SFDA_KIT_CACHE"] = str(place / "cache")
    small_run(place / "runs", resume=True)


def continued(outcomes: Outcomes, fault: str, place: Path, expected: dict[str, Any], log: Path, example: str) -> None:
    """Continue the run in ``place`` undisturbed, and judge it."""
    done = ended(in_child(lambda: work(place), log), log, SECONDS)
    if done.code == 0:
        same = result_of(place / "runs") == expected
        left = _left_behind(place)
        outcomes.add(fault, "corrupt" if left or not same else "same", f"{example}: {left or 'another result'}")
    else:
        outcome = {FAILED: "traceback", REFUSED: "lost"}.get(done.code, "hang")
        outcomes.add(fault, outcome, f"{example}: {done.text}")


def _left_behind(place: Path) -> list[str]:
    """Return files of unfinished writes, and run folders without a record, that are still there an hour later.

    A folder in which nothing was computed may belong to a process that has just begun, so the product waits that long.
    """
    for folder in (place / "runs").iterdir():
        os.utime(folder, (0, 0))
    remove_abandoned(place / "runs")
    scraps = [str(path.relative_to(place)) for path in place.rglob("*") if path.name.endswith((".tmp", ".part"))]
    runs = [str(path) for path in (place / "runs").iterdir() if path.is_dir() and not (path / "record.json").exists()]
    return scraps + runs


def emptied(place: Path) -> Path:
    """Return ``place`` as an empty folder."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
