"""Run folders: each run has one, which is written atomically and found again by the configuration of the run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from sfda_kit.checksums import ASIDE, CHECKSUMS, damaged_files, set_aside, write_checksums
from sfda_kit.config.digest import digest
from sfda_kit.errors import BusyError, DataError, UserError
from sfda_kit.events import Event
from sfda_kit.files import atomic, explain_write_errors, json_text, write_json
from sfda_kit.results.record import Record, read_history, read_record

COMPUTED = ("checkpoints", "history.json", "record.json")
"""The files that show that something was computed in a run folder; trackers may write other files earlier."""
ROW = {"phase", "epoch", "metrics", "signals", "wall_s"}
"""The keys of a row of the history."""
FINISHED = ("config.yaml", "history.json", "predictions.parquet", "model/card.json", "model/model.safetensors")
"""The files of a finished run that have a checksum, beside the record."""


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
        """Return one row for each epoch that is finished so far. Raises ``DataError`` where the file is damaged."""
        rows = read_history(self.path)
        if not all(isinstance(row, dict) and row.keys() >= ROW for row in rows):
            raise DataError(f"{self.path / 'history.json'} is damaged (an epoch is incomplete).")
        return rows

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Replace the history atomically."""
        write_json(self.path / "history.json", rows)

    def write_record(self, record: Record) -> None:
        """Write ``record.json``; its presence means that the run has ended."""
        text = json_text(record.model_dump(mode="json"))
        if record.status == "ok":
            names = [name for name in FINISHED if (self.path / name).is_file()]
            write_checksums(self.path, names, {"record.json": text.encode()})
        with atomic(self.path / "record.json") as work:
            work.write_text(text, encoding="utf-8")

    def damaged(self) -> list[str]:
        """Return the files that have changed since a run ended well, or that an unfinished one cannot go on with."""
        try:
            record = read_record(self.path)
        except DataError:
            return ["record.json"]
        try:
            self.history()
        except DataError:
            return ["history.json"]
        if record is None or record.status != "ok" or not (self.path / CHECKSUMS).exists():  # older runs have none
            return []
        return damaged_files(self.path)

    def begin_again(self, damaged: Sequence[str], identity: Mapping[str, Any]) -> None:
        """Set the damaged files aside, and all others that say how far the run is, so that it is computed again."""
        for name in dict.fromkeys([*COMPUTED, CHECKSUMS, *damaged]):  # no checkpoint may stay without its history
            if (self.path / name).exists():
                set_aside(self.path / name)
        self.write_config(identity)

    def write_config(self, identity: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, which makes the folder a run folder."""
        with atomic(self.path / "config.yaml") as work:
            work.write_text(yaml.safe_dump(dict(identity), sort_keys=False), encoding="utf-8")

    def check_there(self) -> None:
        """Raise ``UserError`` where the folder was removed under way; writing would make half a run folder."""
        if not (self.path / "config.yaml").exists():
            raise UserError(f"The run folder {self.path} was removed during the run. Run the same command again.")

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
        for path in (self.checkpoints, self.checkpoints.with_name(self.checkpoints.name + ASIDE)):
            shutil.rmtree(path, ignore_errors=True)

    def remove_if_unused(self) -> None:
        """Remove the whole folder if nothing was computed in it."""
        if not any((self.path / name).exists() or (self.path / (name + ASIDE)).exists() for name in COMPUTED):
            shutil.rmtree(self.path, ignore_errors=True)

    def ended_well(self) -> bool:
        """Return whether there is a record of a run that ended well."""
        try:
            record = read_record(self.path)
        except DataError:
            return False
        return record is not None and record.status == "ok"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, in which only one process may work; ``BusyError`` when another one does."""
        lock = FileLock(str(self.path / ".lock"))
        try:
            with explain_write_errors(self.path):
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
        RunFolder(folder).write_config(identity)
    except UserError:
        RunFolder(folder).remove_if_unused()
        raise
    return RunFolder(folder)


def find_run(runs_dir: Path, label: str, key: str) -> RunFolder | None:
    """Return the newest finished run folder for the digest ``key``, else the newest unfinished one, else None."""
    folders = sorted(runs_dir.glob(f"{label}-{key[:8]}-*"), reverse=True)
    matching = [RunFolder(path) for path in folders if (path / "config.yaml").exists()]
    finished = [run for run in matching if run.ended_well()]
    return next(iter(finished or matching), None)


def now() -> str:
    """Return the UTC time to the second in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
