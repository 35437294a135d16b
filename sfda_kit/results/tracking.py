"""Trackers of a run. They are told what happens, are left out when they fail, and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfda_kit.events import Event, Listener
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry

if TYPE_CHECKING:
    from sfda_kit.interfaces.tracker import Tracker
    from sfda_kit.results.record import Record


def find_trackers(names: Sequence[str]) -> list[Component]:
    """Import and return each declaration of ``names`` once; ``UserError`` on an unknown name, with the nearest ones."""
    found = [registry().get("tracker", name) for name in dict.fromkeys(names)]
    for component in found:
        component.load()
    return found


def tracked(trackers: Sequence[Component], run_dir: Path, record: Record, listener: Listener) -> Listener:
    """Return a listener that tells ``listener`` and then a tracker of this run for each of ``trackers``."""
    if not trackers:
        return listener
    return _Following(trackers, run_dir, describe(record), listener)


def describe(record: Record) -> dict[str, Any]:
    """Return the description of a run for a tracker as plain data that it may change."""
    return record.model_dump(mode="json", include={"run_id", "method", "seed", "task", "config", "recipe"})


class _Following:
    """This listener holds the trackers of a run that have not failed yet.
    It holds no record, because a method can reach this object and must not reach any score."""

    def __init__(
        self, trackers: Sequence[Component], run_dir: Path, described: Mapping[str, Any], listener: Listener
    ) -> None:
        self.listener = listener
        self.trackers: dict[str, Tracker] = {}
        for component in trackers:
            try:
                given = deepcopy(dict(described))
                self.trackers[component.name] = build(component, run_dir=run_dir, described=given)
            except (Exception, SystemExit) as error:  # Some clients call sys.exit where a key is missing.
                self._left_out(component.name, error)

    def __call__(self, event: Event) -> None:
        """Tell the listener first and give each tracker a copy, so that a tracker changes an event for nobody else."""
        self.listener(event)
        for name, tracker in list(self.trackers.items()):
            told = replace(event, data=deepcopy(event.data))
            try:
                tracker.event(told)
                if event.kind == "done":
                    tracker.finish(told.data["summary"])
            except (Exception, SystemExit) as error:
                del self.trackers[name]
                self._left_out(name, error)

    def _left_out(self, name: str, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}"
        text = f"the tracker {name!r} failed and is left out of the rest of this run ({reason})"
        self.listener(Event("notice", data={"text": text}))
