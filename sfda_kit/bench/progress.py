"""The progress of a suite, read from its run folders."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from sfda_kit.bench.cells import ResolvedCell, State
from sfda_kit.results.record import Record

TAIL = 4096
"""Bytes at the end of an event log that hold its last events."""


@dataclass
class Progress:
    """Progress holds all cells and their states, the cells to run now, and the records of those that ended since."""

    cells: Sequence[ResolvedCell]
    runs_dir: Path
    todo: list[ResolvedCell] = field(default_factory=list)
    ended: dict[str, Record] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.states: dict[str, State] = {cell.key: cell.state(self.runs_dir) for cell in self.cells}
        self.took: dict[str, list[float]] = {}
        for cell in self.cells:
            if self.states[cell.key] == "done" and (record := cell.record(self.runs_dir)):
                self._learn(record)

    def end(self, cell: ResolvedCell, record: Record) -> None:
        """Note that a cell has ended with ``record``."""
        self.ended[cell.key] = record
        self.states[cell.key] = "done" if record.status == "ok" else "failed"
        if record.status == "ok":
            self._learn(record)

    def count(self) -> Counter[State]:
        """Return the number of cells in each state."""
        return Counter(self.states.values())

    def left(self) -> list[ResolvedCell]:
        """Return the cells to run now that have not ended."""
        return [cell for cell in self.todo if cell.key not in self.ended]

    def seconds_left(self, workers: int) -> float | None:
        """Estimate the time left from ended cells of the same method, or of all methods; None before any has ended."""
        every = [seconds for taken in self.took.values() for seconds in taken]
        if not every:
            return None
        each = [mean(self.took.get(cell.cell.config.method, every)) for cell in self.left()]
        return max(sum(each) / workers, 0.0)

    def running(self) -> dict[str, dict[str, Any]]:
        """Return the last run, stage or epoch event of each running cell, by the cell's name."""
        folders = [path for path in self.runs_dir.iterdir() if path.is_dir()]
        found: dict[str, dict[str, Any]] = {}
        for cell in self.left():
            begin = f"{cell.label}-{cell.key[:8]}-"
            logs = (path / "events.jsonl" for path in folders if path.name.startswith(begin))
            if events := [event for log in logs if (event := self._last_event(log))]:
                found[cell.cell.name] = events[-1]
        return found

    def _learn(self, record: Record) -> None:
        self.took.setdefault(record.method, []).append(record.cost.get("wall_s", 0.0))

    def _last_event(self, log: Path) -> dict[str, Any] | None:
        try:
            if log.stat().st_mtime < self.started:
                return None
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - TAIL))
                lines = file.read().decode(errors="ignore").splitlines()
        except OSError:
            return None
        for line in reversed(lines):
            try:
                event: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            if event.get("kind") in ("stage", "epoch", "run"):
                return event
        return None
