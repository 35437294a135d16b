"""Checks that a run's history is whole and gives the scores and the choice of an epoch that the record states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from sfda_kit.submissions.findings import listed
from sfda_kit.submissions.schema import Facts, HistoryRow
from sfda_kit.submissions.scores import differences

if TYPE_CHECKING:
    from sfda_kit.results.record import Selection


def wrong_history(facts: Facts, rows: Sequence[HistoryRow]) -> Iterator[str]:
    """Yield what in the history contradicts itself or the record."""
    if not rows:
        yield "it has no epoch"
        return
    keys = [(row.phase, row.epoch) for row in rows]
    if len(set(keys)) < len(keys):
        yield "an epoch is there twice"
    if any(after.wall_s < before.wall_s for before, after in pairwise(rows)):
        yield "time runs backwards"
    phases = [phase for k, (phase, _) in enumerate(keys) if not k or keys[k - 1][0] != phase]
    epochs = {phase: [epoch for name, epoch in keys if name == phase] for phase in phases}
    if len(set(phases)) < len(phases) or any(found != sorted(found) for found in epochs.values()):
        yield "its epochs are out of order"
    yield from _wrong_length(facts, rows)
    selection = facts.record.selection
    result = rows[-1]
    if selection is not None:
        yield from _wrong_selection(facts, selection, rows)
        told = (selection.result_phase, selection.result_epoch)
        result = next((row for row in rows if (row.phase, row.epoch) == told), result)
        if facts.record.signals != result.signals:
            yield "the record's signals are not those of the epoch that it says is the result"
    yield from differences("metrics", facts.metrics.model_dump(), result.metrics.model_dump(exclude_none=True))


def _wrong_length(facts: Facts, rows: Sequence[HistoryRow]) -> Iterator[str]:
    """Yield each phase of the recipe that has other epochs than its settings ask for, unless the monitor stopped it.

    A history that ends at the best epoch would otherwise make that epoch the last one, which is the result.
    """
    if facts.record.monitor is not None and facts.record.monitor.stopped:
        return
    for phase in facts.recipe.phases:
        wanted = phase.epochs(facts.config.adapt.epochs)
        found = [row.epoch for row in rows if row.phase == phase.name]
        if found != list(range(1, wanted + 1)):
            told = f"the phase {phase.name!r} has {len(found)} epochs"
            yield f"{told}, but by its settings it has the epochs 1 to {wanted}"


def _wrong_selection(facts: Facts, selection: Selection, rows: Sequence[HistoryRow]) -> Iterator[str]:
    """Choose the epoch again from the history and yield the differences: labels must not influence the choice.

    The settings of the run say how an epoch is chosen, not the record of the choice.
    """
    from sfda_kit.evaluate.scoring import deciding
    from sfda_kit.evaluate.selection import describe_selection

    record, adapt = facts.record, facts.config.adapt
    history = [row.model_dump(exclude_none=True) for row in rows]
    told = (selection.result_phase, selection.result_epoch)
    expected = describe_selection(history, deciding(adapt), told, applied=adapt.select.name != "last")
    if wrong := [name for name in type(selection).model_fields if getattr(selection, name) != getattr(expected, name)]:
        yield f"the record's selection is not what its history gives: {listed(wrong)}"
    healthy = [row for row in rows if "collapse" not in (row.signals.get("alarms") or {})]
    stopped = record.monitor is not None and record.monitor.stopped
    last = (healthy or rows)[-1] if stopped else rows[-1]
    result = (expected.chosen_phase, expected.chosen_epoch) if expected.applied else (last.phase, last.epoch)
    if told != result:
        yield f"its result is {told[0]} epoch {told[1]}, but by its own rules it is {result[0]} epoch {result[1]}"
    alarms = [
        (row.phase, row.epoch, name, text) for row in rows for name, text in row.signals.get("alarms", {}).items()
    ]
    if record.monitor is not None and [(a.phase, a.epoch, a.name, a.text) for a in record.monitor.alarms] != alarms:
        yield "the record's alarms are not those of its history"
