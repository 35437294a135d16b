"""Run folders: each run has one, which is written atomically and found again by the configuration of the run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from sfda_kit.config.digest import digest
from sfda_kit.errors import BusyError, UserError
from sfda_kit.events import Event
from sfda_kit.files import atomic, explain_write_errors, write_json
from sfda_kit.results.record import Record, read_record

COMPUTED = ("checkpoints", "history.json", "record.json")
"""The files that show that something was computed in a run folder; trackers may write other files earlier."""


@dataclass(frozen=True)
class RunFolder:
    """A run folder holds the files of one run.
    They are ``config.yaml``, ``record.json``, ``history.json``, ``events.jsonl``, ``predictions.parquet``, ``model/``,
    ``pictures/`` and, while the run is unfinished, ``checkpoints/``."""

    path: Path

    @property
    def run_id(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """The folder in which stages keep the files that they need to resume."""
        return self.path / "checkpoints"

    def history(self) -> list[dict[str, Any]]:
        """Return one row for each epoch that is finished so far."""
        path = self.path / "history.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Replace the history atomically."""
        write_json(self.path / "history.json", rows)

    def write_record(self, record: Record) -> None:
        """Write ``record.json``; its presence means that the run has ended."""
        write_json(self.path / "record.json", record.model_dump(mode="json"))

    def log(self, event: Event) -> None:
        """Append an event to ``events.jsonl``, except steps and reading progress, which only the terminal shows."""
        if event.kind in ("step", "reading"):
            return
        entry = {"time": now(), "kind": event.kind, "stage": event.stage, **event.data}
        line = json.dumps(entry, default=str)
        with explain_write_errors(self.path), (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints, which a run that has ended well no longer needs."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def remove_if_unused(self) -> None:
        """Remove the whole folder if nothing was computed in it."""
        if not any((self.path / name).exists() for name in COMPUTED):
            shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, in which only one process may work; ``BusyError`` when another one does."""
        lock = FileLock(str(self.path / ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(f"Another process is working on {self.path}. Wait for it to end.") from None
        try:
            yield
        finally:
            lock.release()


def open_run(runs_dir: Path, label: str, identity: dict[str, Any], resume: bool) -> RunFolder:
    """Return the folder of ``find_run`` if ``resume``, else a new one; ``UserError`` if ``runs_dir`` is read-only."""
    key = digest(identity)
    if resume and (found := find_run(runs_dir, label, key)):
        return found
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    folder = runs_dir / f"{label}-{key[:8]}-{stamp}-{time.time_ns() % 1_000_000:06d}"
    with explain_write_errors(folder):
        folder.mkdir(parents=True)
    try:
        with atomic(folder / "config.yaml") as work:
            work.write_text(yaml.safe_dump(identity, sort_keys=False), encoding="utf-8")
    except UserError:
        RunFolder(folder).remove_if_unused()
        raise
    return RunFolder(folder)


def find_run(runs_dir: Path, label: str, key: str) -> RunFolder | None:
    """Return the newest finished run folder for the digest ``key``, else the newest unfinished one, else None."""
    folders = sorted(runs_dir.glob(f"{label}-{key[:8]}-*"), reverse=True)
    matching = [RunFolder(path) for path in folders if (path / "config.yaml").exists()]
    finished = [run for run in matching if (record := read_record(run.path)) and record.status == "ok"]
    return next(iter(finished or matching), None)


def now() -> str:
    """Return the UTC time to the second in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
