"""Damage of every file that a run keeps: while it is under way, and after it has ended."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from child import FAILED, REFUSED, Ended, ended, in_child
from kills import SECONDS, work
from outcomes import Outcomes, timed
from small_run import result_of
from typer.testing import CliRunner

Damage = Callable[[bytes, random.Random], bytes]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


KINDS: dict[str, Damage] = {
    "flipped bit": _flipped,
    "cut": lambda data, rng: data[: rng.randrange(len(data))],
    "emptied": lambda data, _: data[:0],
    "zeroed tail": lambda data, _: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "other bytes": lambda data, rng: rng.randbytes(min(len(data), 4096)),
}
IGNORED = (".lock", ".log", "events.jsonl", "writes")
"""Files that decide nothing: locks, and the log of events for people."""


def damage_unfinished(outcomes: Outcomes, folder: Path, expected: dict[str, Any], most: int, seed: int = 0) -> None:
    """Damage one file of a run that was stopped while it adapted, and of its cache; continue, and compare."""
    stopped = _stopped(folder / "stopped", folder / "log")
    with timed(outcomes, "damage under way"):
        for name, kind in _chosen(stopped, most, seed):
            place = _copied(stopped, folder / "damaged")
            _apply(place / name, kind, seed)
            done = ended(in_child(lambda: work(place), folder / "log"), folder / "log", SECONDS)  # noqa: B023
            outcomes.add(f"{kind}, under way", _outcome(done, place, expected), f"{name}: {done.text}")


def damage_finished(outcomes: Outcomes, folder: Path, expected: dict[str, Any], most: int, seed: int = 0) -> None:
    """Damage one file of a finished run; then `run --resume`, `predict`, `results query`, `pack` and `bench status`."""
    finished = folder / "undisturbed"
    with timed(outcomes, "damage of finished runs"):
        for name, kind in _chosen(finished / "runs", most, seed):
            place = _copied(finished, folder / "damaged")
            _apply(place / "runs" / name, kind, seed)
            done = ended(in_child(lambda: work(place), folder / "log"), folder / "log", SECONDS)  # noqa: B023
            outcomes.add(f"{kind}, finished run", _outcome(done, place, expected), f"{name}: {done.text}")
            place = _copied(finished, folder / "damaged")
            _apply(place / "runs" / name, kind, seed)
            for command in (_query, _pack):
                done = ended(in_child(lambda: command(place), folder / "log"), folder / "log", 60)  # noqa: B023
                outcome = {0: "taken", REFUSED: "refused", FAILED: "traceback"}.get(done.code, "hang")
                outcomes.add(f"{kind}, `{command.__name__[1:]}`", outcome, f"{name}: {done.text}")


def _query(place: Path) -> None:
    _command("results", "query", "select count(*) from history, predictions", "--records", str(place / "runs"))


def _pack(place: Path) -> None:
    _command("leaderboard", "pack", str(place / "runs"), "--out", str(place / "out.zip"))


def _command(*arguments: str) -> None:
    from sfda_kit.cli.app import app

    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception


def _outcome(done: Ended, place: Path, expected: dict[str, Any]) -> str:
    if done.code != 0:
        return {FAILED: "traceback", REFUSED: "refused"}.get(done.code, "hang")
    return "same" if result_of(place / "runs") == expected else "silent"


def _stopped(place: Path, log: Path) -> Path:
    """Return a folder with a run that was killed in its last epoch, with all its checkpoints."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()

    def stop_late() -> None:
        from sfda_kit.results import journal

        epoch = journal.Journal.epoch

        def last(self: Any, state: Any, *others: Any) -> None:
            epoch(self, state, *others)
            if state.epoch == 3:
                os.kill(os.getpid(), 9)

        journal.Journal.epoch = last  # type: ignore[method-assign]

    ended(in_child(lambda: work(place), log, stop_late), log)
    return place


def _chosen(place: Path, most: int, seed: int) -> list[tuple[Path, str]]:
    """Return files below ``place`` with kinds of damage, at most ``most``, those of all files and kinds alike."""
    files = [path.relative_to(place) for path in sorted(place.rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if not path.name.endswith(IGNORED)]
    pairs = [(path, kind) for kind in KINDS for path in files]
    return random.Random(seed).sample(pairs, min(most, len(pairs)))


def _apply(file: Path, kind: str, seed: int) -> None:
    data = KINDS[kind](file.read_bytes(), random.Random(f"{seed} {file.name}"))
    file.unlink()
    file.write_bytes(data)


def _copied(place: Path, to: Path) -> Path:
    """Return a copy of ``place`` in which untouched files are links, since ``_apply`` writes a new file."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(place, to, copy_function=os.link))
