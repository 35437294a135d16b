"""The parts of a step by name, and the table and the trace of where the time of one epoch went."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from sfda_kit.events import Event

PREFIX = "sfda-kit: "


def region(name: str) -> AbstractContextManager[Any]:
    """Return a context whose time a profile reports as ``name``. Without a profile it costs a microsecond or two."""
    return record_function(PREFIX + name)


class EpochProfile:
    """A listener that profiles one epoch of each phase of adaptation: the second, or the first where there is no other.

    A phase's trace is ``profile-PHASE.json`` in the run's folder, for chrome://tracing or https://ui.perfetto.dev.
    ``seconds``: what each part of the epoch took, by phase and part, nested parts taken out.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.seconds: dict[str, dict[str, float]] = {}
        self.traces: list[Path] = []
        self._folder = runs_dir
        self._phase = ""
        self._profile: profile | None = None

    def __call__(self, event: Event) -> None:
        """Begin with an epoch, and end with it."""
        if event.kind == "run":
            self._folder = self.runs_dir / event.data["run_id"]
        elif event.kind == "stage":
            self._stop()
            self._phase = event.stage
            is_adaptation = event.stage not in ("source", "bridge")
            if is_adaptation and event.data["epochs"] - event.data["done"] == 1:
                self._start()
        elif event.kind == "epoch" and event.stage == self._phase:
            if self._profile:
                self._stop()
            elif event.stage not in self.seconds and event.stage not in ("source", "bridge"):
                self._start()
        elif event.kind == "done":
            self._stop()

    def _start(self) -> None:
        activities = [ProfilerActivity.CPU]
        activities += [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its messages to stderr say nothing that a user can act on
        self._profile = profile(activities=activities, acc_events=True)
        self._profile.start()

    def _stop(self) -> None:
        if self._profile is None:
            return
        self._profile.stop()
        path = self._folder / f"profile-{self._phase}.json"
        self._profile.export_chrome_trace(str(path))
        self.traces.append(path)
        self.seconds[self._phase] = time_by_part(self._profile.events() or [])  # type: ignore[no-untyped-call]
        self._profile = None


def time_by_part(events: Iterable[Any]) -> dict[str, float]:
    """Return the seconds of each region, without those of regions inside it, the longest first."""
    found: dict[str, float] = defaultdict(float)
    for event in events:
        if not event.name.startswith(PREFIX):
            continue
        seconds = event.cpu_time_total / 1e6
        found[event.name.removeprefix(PREFIX)] += seconds
        if outer := _outer(event):
            found[outer] -= seconds
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _outer(event: Any) -> str:
    """Return the name of the region around ``event``, empty where there is none."""
    parent = event.cpu_parent
    while parent is not None and not parent.name.startswith(PREFIX):
        parent = parent.cpu_parent
    return parent.name.removeprefix(PREFIX) if parent is not None else ""
