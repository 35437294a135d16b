"""Methods with several configurations: the row of a method shows, in each place, the one that a validator chooses.

A place is a table, a fold and a seed. The choice sees the scores that the validator gave to the results of the runs,
and whether these had collapsed. It sees no metric, so no target label. A row ``oracle-tuned`` shows the configuration
with the best score by target labels: the difference of both rows is what the choice has cost.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sfda_kit.config.models import MOST_CONFIGURATIONS
from sfda_kit.evaluate.selection import EpochCandidate, choose
from sfda_kit.leaderboard.board import METRICS, Kind, TaskTable
from sfda_kit.leaderboard.comparable import spell_seeds
from sfda_kit.leaderboard.entries import Entry, TableKey, TunedAs, mapping, text, whole

LABELS = "target labels"
"""What the settings of a row ``oracle-tuned`` say in the place of a validator."""

Tables = Mapping[TableKey, Sequence[Entry]]
Place = tuple[int, int]
"""Fold (-1: there are none) and seed of a run."""


class TunedMethod(NamedTuple):
    """A method whose runs are labelled as configurations. ``row``: its name in the suite."""

    row: str
    method: str
    validator: str
    options: str

    @property
    def chooser(self) -> str:
        """The validator with its options as text."""
        return f"{self.validator} {self.options}" if self.options != "{}" else self.validator


@dataclass(frozen=True)
class Choices:
    """Choices hold the entries of all tables after the choice, and the sentences for each table."""

    entries: Mapping[TableKey, list[Entry]]
    notices: Mapping[TableKey, list[str]]


def with_choices(tables: Tables, metric_of: Callable[[TableKey], str], single: bool = False) -> Choices:
    """Put one entry a place for each method with configurations, and one more for its row ``oracle-tuned``.

    ``metric_of``: the metric of a table, by which that row chooses. ``single``: keep entries of all configurations too.
    """
    names = _names(entry for entries in tables.values() for entry in entries)
    found: dict[TableKey, list[Entry]] = {}
    notices: dict[TableKey, list[str]] = {}
    for key, entries in tables.items():
        of_method: dict[TunedMethod, list[Entry]] = defaultdict(list)
        found[key] = []
        for entry in entries:
            tuned = tuned_method(entry)
            (of_method[tuned] if tuned else found[key]).append(entry)
        notices[key] = _explained(list(of_method), metric_of(key))
        for tuned, own in sorted(of_method.items()):
            made, said = _chosen(tuned, own, names[tuned], metric_of(key))
            found[key] += made + (_single(tuned, own) if single else [])
            notices[key] += said
    return Choices(found, notices)


def with_counts(table: TaskTable, notices: Sequence[str]) -> TaskTable:
    """Return the table with ``notices`` first; where any row has a number of configurations, other methods have one."""
    if not any(row.configurations for row in table.rows):
        return replace(table, notices=(*notices, *table.notices)) if notices else table
    rows = (replace(row, configurations=1) if row.kind == "method" and not row.tuned else row for row in table.rows)
    return replace(table, rows=tuple(rows), notices=(*notices, *table.notices))


def tuned_method(entry: Entry) -> TunedMethod | None:
    """Return the method of which the run of ``entry`` is a configuration, None where its record names none."""
    told = mapping(entry.record.config.get("tuning"))
    if not (text(told.get("row")) and text(told.get("configuration"))):
        return None
    chosen_by = mapping(mapping(entry.record.config.get("adapt")).get("validator"))
    options = json.dumps(mapping(chosen_by.get("options")), sort_keys=True, default=str)
    return TunedMethod(text(told.get("row")), entry.record.method, text(chosen_by.get("name")), options)


def _configuration(entry: Entry) -> str:
    return text(mapping(entry.record.config.get("tuning")).get("configuration"))


def _names(entries: Iterable[Entry]) -> dict[TunedMethod, list[str]]:
    """Return the configurations of each method that any table has, in the order of its suite."""
    found: dict[TunedMethod, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        if tuned := tuned_method(entry):
            number = whole(mapping(entry.record.config.get("tuning")).get("number"))
            name = _configuration(entry)
            found[tuned][name] = min(number, found[tuned].get(name, number))
    return {tuned: sorted(own, key=lambda name: (own[name], name)) for tuned, own in found.items()}


def _chosen(
    tuned: TunedMethod, entries: Sequence[Entry], names: Sequence[str], metric: str
) -> tuple[list[Entry], list[str]]:
    """Return the entries of the method's two rows on a table, and what there is to say of them."""
    if len(names) > MOST_CONFIGURATIONS:
        return [], [f"{tuned.row} has {len(names)} configurations, at most {MOST_CONFIGURATIONS} are allowed: no row."]
    places: dict[Place, dict[str, Entry]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda entry: (entry.record.status == "ok", entry.age)):
        places[_place(entry)][_configuration(entry)] = entry  # the newest that ended well is the last one
    made: list[Entry] = []
    missing: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    mixed: list[Place] = []
    taken: Counter[str] = Counter()
    for place, own in sorted(places.items()):
        if without := tuple(name for name in names if name not in own or not _has_score(own[name], tuned)):
            missing[without].append(place)
            failed = next((own[name] for name in without if name in own and own[name].record.status != "ok"), None)
            made += [_as(failed, None, tuned, tuned.row, len(names), chosen_by=tuned.chooser)] if failed else []
            continue
        ordered = [own[name] for name in names]
        if len({(one.fingerprint, one.weights) for one in ordered}) > 1:
            mixed.append(place)
            continue
        chosen, best = choose_by_score(ordered, tuned.validator), max(ordered, key=lambda one: _metric(one, metric))
        best_row = f"{tuned.row}, oracle-tuned"
        by_labels = {"chosen_by": LABELS, "instead_of": tuned.chooser}
        made.append(_as(chosen, None, tuned, tuned.row, len(names), chosen_by=tuned.chooser))
        made.append(_as(best, "oracle-tuned", tuned, best_row, len(names), **by_labels))
        taken[_configuration(chosen)] += 1
    return made, [*_missing(tuned, missing), *_mixed(tuned, mixed), *_taken(tuned, names, taken)]


def choose_by_score(entries: Sequence[Entry], validator: str) -> Entry:
    """Return the entry whose result the validator scores highest; of equal scores, or without any, the first one.

    A result that had collapsed is chosen only where all had.
    """
    candidates = [
        EpochCandidate("", number, score_of(entry, validator), _has_collapsed(entry))
        for number, entry in enumerate(entries)
    ]
    best = choose(candidates) or choose(candidates, guarded=False)
    return entries[best.epoch if best else 0]


def score_of(entry: Entry, validator: str) -> float | None:
    """Return the score of a run's result by ``validator``, None where it was not finite."""
    score = mapping(entry.record.signals.get("validators")).get(validator)
    if not isinstance(score, (int, float)) or isinstance(score, bool) or not math.isfinite(score):
        return None
    return float(score)


def _has_collapsed(entry: Entry) -> bool:
    return "collapse" in mapping(entry.record.signals.get("alarms"))


def _has_score(entry: Entry, tuned: TunedMethod) -> bool:
    scores = mapping(entry.record.signals.get("validators"))
    return entry.record.status == "ok" and tuned.validator in scores


def _metric(entry: Entry, metric: str) -> float:
    value = entry.record.metrics.get(metric, math.nan)
    return value if math.isfinite(value) else -math.inf


def _place(entry: Entry) -> Place:
    return (-1 if entry.fold is None else entry.fold, entry.record.seed)


def _as(entry: Entry, kind: Kind | None, tuned: TunedMethod, label: str, count: int = 0, **settings: str) -> Entry:
    """Return ``entry`` for a row of its method. ``kind``: that of the row, None for that of the run."""
    settings |= {"row": tuned.row} if tuned.row != tuned.method else {}
    return replace(entry, tuned=TunedAs(kind, label, tuple(sorted(settings.items())), "\n".join(tuned), count))


def _single(tuned: TunedMethod, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries for rows that show one configuration each."""
    return [
        _as(
            entry,
            "configuration",
            tuned,
            f"{tuned.row}, configuration {name}",
            configuration=name,
            chosen_by=tuned.chooser,
        )
        for entry in entries
        if (name := _configuration(entry))
    ]


def _explained(found: Sequence[TunedMethod], metric: str) -> list[str]:
    choosers = sorted({tuned.chooser for tuned in found})
    if not choosers:
        return []
    said = [
        f"Of several configurations a row shows, for each seed and fold, the one that {' or '.join(choosers)} scores "
        "highest, without labels.",
        f"Rows oracle-tuned show the configuration with the best score by target labels ({METRICS[metric]}): the "
        "difference is what the choice has cost.",
    ]
    if len(choosers) > 1:
        said.append("Configurations were chosen by different validators, so the rows had no equal chance.")
    return said


def _missing(tuned: TunedMethod, missing: Mapping[tuple[str, ...], Sequence[Place]]) -> Iterator[str]:
    for names, places in missing.items():
        which = f"{'configurations' if len(names) > 1 else 'configuration'} {', '.join(names)}"
        yield f"{tuned.row}: no scored result of the {which} for {_spelt(places)}, so nothing is compared there."


def _mixed(tuned: TunedMethod, places: Sequence[Place]) -> Iterator[str]:
    if places:
        differs = "other data or source models among its configurations"
        yield f"{tuned.row}: {differs} for {_spelt(places)}, so nothing is compared there."


def _taken(tuned: TunedMethod, names: Sequence[str], taken: Counter[str]) -> Iterator[str]:
    if taken:
        told = ", ".join(f"{name} for {taken[name]}" for name in names if taken[name])
        yield f"{tuned.row}: chosen for {taken.total()} seeds and folds, of {len(names)} configurations: {told}."


def _spelt(places: Sequence[Place]) -> str:
    if all(fold < 0 for fold, _ in places):
        return spell_seeds(seed for _, seed in places)
    return ", ".join(f"fold {fold} seed {seed}" for fold, seed in places)
