"""The conformance suite for trackers."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

from sfda_kit.events import Event
from sfda_kit.interfaces.tracker import Tracker
from sfda_kit.plugins.building import build
from sfda_kit.results.record import Record
from sfda_kit.results.tracking import describe
from sfda_kit.testing.declaration import PartConformance

CLASSES = ("bar", "disc", "ring")


class TrackerConformance(PartConformance):
    """A test class sets ``name``; a fixture sets up what the tracker needs (a local store, offline mode)."""

    kind: ClassVar[str] = "tracker"

    def tracker(self, run_dir: Path) -> Tracker:
        """Return a new tracker of the run in ``run_dir``."""
        found: Tracker = build(self.component(), self.options, run_dir=run_dir, described=small_description(run_dir))
        return found

    def test_follows_a_run_from_start_to_end(self, tmp_path: Path) -> None:
        """A tracker takes every kind of event, then the summary."""
        tracker = self.tracker(tmp_path)
        for event in run_events(epochs=2):
            tracker.event(event)
        tracker.finish(small_summary(tmp_path))

    def test_leaves_events_and_summary_as_they_are(self, tmp_path: Path) -> None:
        """Events and summary stay as they are, because others get them too."""
        tracker = self.tracker(tmp_path)
        events = run_events(epochs=1)
        before = deepcopy(events)
        for event in events:
            tracker.event(event)
        summary = small_summary(tmp_path)
        tracker.finish(summary)
        assert events == before, "the tracker changed an event that others get too; expected it as it was"
        assert summary == small_summary(tmp_path), (
            "the tracker changed the summary that others get too; expected it as it was"
        )

    def test_goes_on_with_a_resumed_run(self, tmp_path: Path) -> None:
        """When a run failed after its first epoch, a new tracker gets that epoch again, then the second."""
        tracker = self.tracker(tmp_path)
        for event in run_events(epochs=2)[: -len(epoch_events(2)) - 1]:
            tracker.event(event)
        tracker.finish(failed_summary(tmp_path))
        tracker = self.tracker(tmp_path)
        for event in run_events(epochs=2):
            tracker.event(event)
        tracker.finish(small_summary(tmp_path))

    def test_a_failed_run_without_figures(self, tmp_path: Path) -> None:
        """A tracker takes the summary of a failed run, whose metrics are None."""
        tracker = self.tracker(tmp_path)
        tracker.event(Event("run", data={"run_id": "run", "task": {}}))
        tracker.finish(failed_summary(tmp_path))

    def test_an_event_of_a_later_version_is_ignored(self, tmp_path: Path) -> None:
        """A tracker ignores an event whose kind it does not know yet."""
        kind: Any = "never-heard-of"
        tracker = self.tracker(tmp_path)
        tracker.event(Event(kind, "adapt", {"anything": 1}))
        tracker.finish(small_summary(tmp_path))


def run_events(epochs: int) -> list[Event]:
    """Return the events of a run of ``epochs`` epochs with two steps each, from ``run`` to ``done``."""
    begin = [
        Event("run", data={"run_id": "run", "task": {"classes": list(CLASSES)}}),
        Event("notice", data={"text": "source taken from the cache"}),
        Event("stage", "adapt", {"epochs": epochs, "steps": 2, "done": 0}),
    ]
    middle = [event for epoch in range(1, epochs + 1) for event in epoch_events(epoch)]
    return [*begin, *middle, Event("done", data={"status": "ok", "summary": small_summary(Path("runs"))})]


def epoch_events(epoch: int) -> list[Event]:
    """Return the events of two steps and the figures of one epoch, counted from 1."""
    terms = {"infomax": -0.5 / epoch, "centroid": 0.3}
    steps = [Event("step", "adapt", {"epoch": epoch - 1, "step": step, "terms": terms}) for step in range(2)]
    figures = {"transductive_accuracy": 50.0 + epoch, "heldout_accuracy": 48.0 + epoch}
    signals = {"histogram": [5, 0, 7], "entropy": 0.4, "source_agreement": 0.6, "churn": 0.1}
    return [*steps, Event("epoch", "adapt", {"epoch": epoch, "figures": figures, "signals": signals})]


def small_record(run_dir: Path) -> Record:
    """Return the record of a small run that ended well; it holds no ``source_accuracy``."""
    metrics = {"heldout_accuracy": 50.0, "transductive_accuracy": 52.0, "source_only_heldout_accuracy": 40.0}
    return Record(
        run_id="run",
        status="ok",
        method="shot",
        run_dir=str(run_dir),
        metrics=metrics,
        task={"dataset": "rooms", "source": "rgb@kv1", "target": "depth@kv1", "classes": list(CLASSES)},
        cost={"wall_s": 2.0, "peak_memory_mb": 10.0, "trained_parameters": 100.0},
        config={"method": "shot", "seed": 0, "adapt": {"lr": 0.01, "epochs": 2}, "dataset": {"tr_classes": ["bar"]}},
    )


def small_summary(run_dir: Path) -> dict[str, Any]:
    """Return the summary of the small run."""
    return small_record(run_dir).summary()


def failed_summary(run_dir: Path) -> dict[str, Any]:
    """Return the summary of the same run as if it had failed before its first figures."""
    failed = Record(run_id="run", status="failed", method="shot", run_dir=str(run_dir), error="no disk")
    return failed.summary()


def small_description(run_dir: Path) -> dict[str, Any]:
    """Return the description of the small run that a tracker gets."""
    return describe(small_record(run_dir))
