"""The verdict on a card, which depends only on the card and on the records of its runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sfda_kit.bench.card import Card, CardRun
from sfda_kit.config.digest import digest
from sfda_kit.results.record import Record


class Value(NamedTuple):
    """A value is the number of one run, in percent."""

    task: str
    seed: int
    value: float
    run_dir: str


class CardDifference(NamedTuple):
    """A difference is something that a run here does not share with the runs behind the card's number."""

    what: str
    card: str
    here: str


@dataclass(frozen=True)
class Verdict:
    """A verdict holds the ``values`` of all runs and the ``differences`` that may explain a number outside the band."""

    card: Card
    values: tuple[Value, ...]
    differences: tuple[CardDifference, ...]

    @property
    def by_seed(self) -> list[float]:
        """Mean over tasks and folds, for each seed."""
        seeds = self.card.seeds
        return [statistics.fmean(value.value for value in self.values if value.seed == seed) for seed in seeds]

    @property
    def mean(self) -> float:
        """Mean over tasks, folds and seeds."""
        return statistics.fmean(self.by_seed)

    @property
    def inside(self) -> bool:
        """Whether the mean falls in the card's band, ends included."""
        return self.card.expected.low <= self.mean <= self.card.expected.high

    def summary(self) -> dict[str, Any]:
        """Return the JSON object of ``reproduce --json``."""
        card = self.card
        return {
            "card": card.name,
            "kind": card.kind,
            "method": card.method,
            "metric": card.metric,
            "expected": card.expected.model_dump(),
            "mean": self.mean,
            "by_seed": dict(zip(map(str, card.seeds), self.by_seed, strict=True)),
            "verdict": "inside" if self.inside else "outside",
            "differences": [difference._asdict() for difference in self.differences],
            "runs": [value._asdict() for value in self.values],
        }


def judge(card: Card, done: Sequence[tuple[CardRun, Record]]) -> Verdict:
    """Return the verdict on ``card`` from the finished records of all its runs."""
    values = [Value(run.task, run.seed, record.metrics[card.metric], record.run_dir) for run, record in done]
    return Verdict(card, tuple(values), tuple(dict.fromkeys(_differences(card, done))))


def fingerprint_of(records: Sequence[Record]) -> str:
    """Return the fingerprint of the data of ``records``, a digest of several where they are of several folds."""
    found = list(dict.fromkeys(str(record.task.get("fingerprint", "")) for record in records))
    return found[0] if len(found) == 1 else digest(found)


def _differences(card: Card, done: Sequence[tuple[CardRun, Record]]) -> Iterator[CardDifference]:
    if card.data_fingerprint:
        yield from _compare("data", card.data_fingerprint, fingerprint_of([record for _, record in done]))
    for run, record in done:
        for package, version in card.versions.items():
            yield from _compare(f"version of {package}", version, record.versions.get(package, "not installed"))
        which, number = ("seed", run.seed) if run.fold is None else ("fold", run.fold)
        if number in card.source_weights:
            here = str(record.source.get("weights_sha256", ""))
            yield from _compare(f"source weights, {which} {number}", card.source_weights[number], here)
        if card.recipe is not None:
            yield from _compare_settings(card.recipe, record.recipe)


def _compare_settings(card: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[CardDifference]:
    """Compare the resolved recipes: a newer plugin may have other weights under the same name."""
    before, after = flatten(card, "recipe"), flatten(here, "recipe")
    for key in sorted({*before, *after}):
        yield from _compare(key, str(before.get(key, "absent")), str(after.get(key, "absent")))


def _compare(what: str, card: str, here: str) -> Iterator[CardDifference]:
    if card != here:
        yield CardDifference(what, card, here)


def flatten(value: Any, prefix: str) -> dict[str, Any]:
    """Spell keys as ``--set`` does: ``{"a": [{"name": "x", "b": 1}]}`` -> ``{"prefix.a.x.b": 1, ...}``."""
    if isinstance(value, Mapping) and value:
        return {key: leaf for name, below in value.items() for key, leaf in flatten(below, f"{prefix}.{name}").items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        return flatten({item["name"]: item for item in value}, prefix)
    return {prefix: value}
