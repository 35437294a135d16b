"""The record, history, time, status and failures of a run while it is in progress, with or without labels."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit import processes
from sfda_kit.config.digest import digest
from sfda_kit.errors import PartError, SfdaKitError, UserError
from sfda_kit.events import Event, Listener, hearing, to_all
from sfda_kit.files import remove_unfinished_writes, scarcity
from sfda_kit.results.abandoned import remove_abandoned
from sfda_kit.results.cost import cpu_seconds, peak_memory_mb
from sfda_kit.results.followed_folder import FollowedFolder, refuse_another_run
from sfda_kit.results.record import Record, Status, read_record
from sfda_kit.results.store import RunFolder, now, open_run
from sfda_kit.versions import versions

if TYPE_CHECKING:
    import torch

    from sfda_kit.interfaces.method import EpochState
    from sfda_kit.runs.plan import MethodPlan

_LOGGER = logging.getLogger(__name__)


def in_run_folder(
    runs_dir: Path,
    label: str,
    identity: dict[str, Any],
    resume: bool,
    listener: Listener,
    work: Callable[[RunFolder, Listener], Record],
) -> Record:
    """Return the record of a matching finished run if ``resume``, else the record that ``work`` makes in a run folder.
    A ``UserError`` is passed on; the folder is then removed if nothing was computed in it."""
    with ExitStack() as held:
        begun = processes.by_first(lambda: _begin(runs_dir, label, identity, resume, listener, held))
        folder, finished, rows, key = begun
        if finished:
            return finished
        if not processes.is_first():
            refuse_another_run(key, identity)
            folder = FollowedFolder(folder.path, rows)
        tell = to_all(folder.log, listener)
        try:
            with hearing(tell):
                return work(folder, tell)
        except UserError:
            folder.remove_if_unused()
            raise


def _begin(
    runs_dir: Path, label: str, identity: dict[str, Any], resume: bool, listener: Listener, held: ExitStack
) -> tuple[RunFolder, Record | None, list[dict[str, Any]], str]:
    """Return folder, record if it has finished, history and key of the run. ``held`` holds its lock from now on."""
    remove_abandoned(runs_dir)
    folder = open_run(runs_dir, label, identity, resume)
    _LOGGER.debug("the run folder is %s", folder.path)
    held.enter_context(folder.locked())
    remove_unfinished_writes(folder.path)
    if damaged := folder.damaged():
        folder.begin_again(damaged, identity)
        text = f"{', '.join(damaged)} of {folder.path} is damaged: it is set aside, and the run is made again"
        to_all(folder.log, listener)(Event("notice", data={"text": text}))
    finished = read_record(folder.path)
    if not resume or not finished or finished.status != "ok":
        return folder, None, folder.history(), digest(identity)
    folder.remove_checkpoints()  # A kill between the record and this removal leaves them.
    text = "this run had already finished; nothing was computed again"
    listener(Event("notice", data={"text": text}))
    return folder, finished, [], digest(identity)


def new_record(
    folder: RunFolder, plan: MethodPlan, identity: Mapping[str, Any], task: dict[str, Any], **facts: Any
) -> Record:
    """Return the record of a run that begins; its status is ``failed`` until the run has ended well."""
    configured = {part: identity[part] for part in ("config", "recipe")}
    return Record(
        run_id=folder.run_id,
        status="failed",
        method=plan.component.name,
        run_dir=str(folder.path),
        seed=plan.config.seed,
        task=task,
        **configured,
        config_digest=digest(configured),
        versions=versions(),
        started=now(),
        **facts,
    )


class Journal:
    """A journal keeps the record, history and time of a run in ``folder``, and tells ``listener`` of its events."""

    def __init__(self, folder: RunFolder, record: Record, device: torch.device, listener: Listener) -> None:
        self.folder, self.record, self.device, self.listener = folder, record, device, listener
        self.history = folder.history()
        self._before = self.history[-1]["wall_s"] if self.history else 0.0
        self._started, self._cpu_before = time.monotonic(), cpu_seconds()
        self._resumed = bool(self.history)

    def keep(self, work: Callable[[], None]) -> Record:
        """Do ``work`` and write the record, even when it fails, but not on a mistake of the user or Ctrl-C."""
        self.listener(Event("run", data={"run_id": self.folder.run_id, "task": self.record.task}))
        for notice in self.record.notices:
            self.listener(Event("notice", data={"text": notice}))
        try:
            work()
        except SfdaKitError as error:
            if not isinstance(error, UserError) or isinstance(error, PartError):
                self._end("failed", str(error))
            raise
        except Exception as error:
            told = scarcity(error)
            self._end("failed", str(told) if told else f"{type(error).__name__}: {error}")
            raise
        self._end("ok")
        self.folder.remove_checkpoints()
        return self.record

    def epoch(
        self,
        state: EpochState,
        diagnostics: dict[str, Any],
        figures: Mapping[str, float],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Record an epoch once; an epoch that is repeated after a resume replaces its old row."""
        row = {
            "phase": state.phase,
            "epoch": state.epoch,
            "metrics": metrics or {},
            "signals": diagnostics,
            "wall_s": self._elapsed(),
        }
        self.folder.check_there()
        key = (state.phase, state.epoch)
        keys = [(old["phase"], old["epoch"]) for old in self.history]
        at = keys.index(key) if key in keys else len(keys)
        self.history = [*self.history[:at], row, *self.history[at + 1 :]]
        self.folder.write_history(self.history)
        self.listener(Event("epoch", state.phase, {"epoch": state.epoch, "figures": figures, "signals": diagnostics}))
        self.record.signals = diagnostics

    def row(self, phase: str, epoch: int) -> dict[str, Any]:
        """Return the recorded row of an epoch."""
        return next(row for row in self.history if (row["phase"], row["epoch"]) == (phase, epoch))

    def _end(self, status: Status, error: str = "") -> None:
        self.folder.check_there()
        self.record.status, self.record.error, self.record.finished = status, error, now()
        self.record.cost["wall_s"] = round(self._elapsed(), 2)
        if not self._resumed:  # The time of the processes before this one is not known.
            self.record.cost["cpu_s"] = round(cpu_seconds() - self._cpu_before, 2)
        if epoch_s := self._epoch_seconds():
            self.record.cost["epoch_s"] = round(epoch_s, 3)
        self.record.cost["peak_memory_mb"] = round(peak_memory_mb(self.device), 1)
        self.folder.write_record(self.record)
        self.listener(Event("done", data={"status": status, "summary": self.record.summary()}))

    def _epoch_seconds(self) -> float | None:
        """Return the median time of an epoch of the last phase without its first, None where it has one epoch only."""
        phase = self.history[-1]["phase"] if self.history else ""
        times = [row["wall_s"] for row in self.history if row["phase"] == phase]
        return statistics.median(after - before for before, after in pairwise(times)) if len(times) > 1 else None

    def _elapsed(self) -> float:
        return float(self._before + time.monotonic() - self._started)
