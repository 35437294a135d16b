"""Declarations, executors and trackers that break their contract."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sfda_kit import Aligner, Component, Event, Executor, Job, Outcome, Tracker
from sfda_kit.testing import ExecutorConformance, TrackerConformance
from sfda_kit.testing.conformance_tracker import small_description, small_record
from sfda_kit.testing.declaration import DeclarationConformance, PartConformance

from .broken import Broken, broken


class TakesAll(Aligner):
    def __init__(self, **options: Any) -> None: ...

    def __call__(self, signals: Any) -> Any: ...


class Meddles(Tracker):
    def event(self, event: Event) -> None:
        event.data.clear()


class Strict(Tracker):
    def event(self, event: Event) -> None:
        {"run": 1, "notice": 1, "stage": 1, "step": 1, "epoch": 1, "done": 1}[event.kind]


class Fragile(Strict):
    def event(self, event: Event) -> None:
        super().event(event)
        float(event.data["task"]["classes"])


class WantsFigures(Strict):
    def finish(self, summary: Mapping[str, Any]) -> None:
        float(summary["metrics"]["heldout_accuracy"])


class OnceOnly(Tracker):
    def __init__(self, run_dir: Path, described: Mapping[str, Any]) -> None:
        super().__init__(run_dir, described)
        (run_dir / "mine").mkdir()

    def event(self, event: Event) -> None: ...


class LosesJobs(Executor):
    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield Outcome(jobs[0].key)


class RecordsWhatItStopped(Executor):
    """Writes a run folder as a cell does, and a record although the cell has not ended."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        folder = jobs[0].runs_dir / f"oracle-s{jobs[0].config['seed']}-0"
        folder.mkdir()
        (folder / "events.jsonl").write_text(json.dumps({"kind": "epoch"}))
        (folder / "record.json").write_text(small_record(folder).model_dump_json())
        yield Outcome(jobs[1].key)


def declared(check: str, says: str, plugin: str = "", **fields: str) -> Broken:
    """A broken declaration."""
    named = {"name": "broken", "summary": "a broken part", **fields}
    component = Component(target="a:b", kind="aligner", owner="broken_plugin", **named)
    return broken(DeclarationConformance, TakesAll, check, says, plugin, component=lambda self: component)


def tracker(kind: type[Tracker], check: str, says: str) -> Broken:
    def make(self: object, run_dir: Path) -> Tracker:
        return kind(run_dir, small_description(run_dir))

    return broken(TrackerConformance, kind, check, says, tracker=make)


def executor(kind: type[Executor], check: str, says: str) -> Broken:
    return broken(ExecutorConformance, kind, check, says, executor=lambda self: kind())


HEAVY = """
import sys, types
sys.modules["timm"] = types.ModuleType("timm")  # as `import timm` does, which takes seconds
import sfda_kit
@sfda_kit.hookimpl
def sfda_kit_register_aligner():
    return []
"""
BROKEN = [
    declared("declaration_says_what_it_is", "the name is 'Big_Name'; expected lower-case words", name="Big_Name"),
    declared("declaration_says_what_it_is", "the summary has 81 characters; expected", summary="x" * 81),
    declared("listing_imports_no_torch", "the hooks of broken_plugin imports timm; expected", HEAVY),
    broken(PartConformance, TakesAll, "unknown_option_is_a_user_error", "'no_such_option' was accepted; expected no"),
    tracker(Fragile, "follows_a_run_from_start_to_end", "it raised .*Error: .*; expected no error"),
    tracker(Meddles, "leaves_events_and_summary_as_they_are", "the tracker changed an event"),
    tracker(OnceOnly, "goes_on_with_a_resumed_run", "it raised FileExistsError"),
    tracker(WantsFigures, "a_failed_run_without_figures", "it raised TypeError: float"),
    tracker(Strict, "an_event_of_a_later_version_is_ignored", "it raised KeyError: 'never-heard-of'"),
    executor(LosesJobs, "every_job_ends_with_one_outcome", r"run yielded outcomes of \['seed-0'\]; expected one each"),
    executor(RecordsWhatItStopped, "closing_stops_what_runs", "a cell that was stopped has a record"),
]
