"""Which rows of a table may be compared: what most of them share, and the mark of each that does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sfda_kit.leaderboard.board import Kind, Mark, MarkKind
from sfda_kit.leaderboard.entries import Entry
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.variants import MethodVariant

T = TypeVar("T")

COMPARED_VERSIONS = ("sfda-kit", "torch")

TOLERANCE = 0.01
"""Percent by which a recorded score may differ from the recomputed one (rounding)."""


@dataclass(frozen=True)
class BoardCandidate:
    """A row in the making: the runs of one variant that share a data revision and the source models.

    ``entries``: one a seed, in order of seeds. ``counted``: seeds whose figures count. ``scored``: counts by
    seed, None where the predictions are of no use.
    """

    variant: MethodVariant
    kind: Kind
    entries: tuple[Entry, ...]
    marks: tuple[Mark, ...] = ()
    counted: tuple[int, ...] = ()
    scored: Mapping[int, Scored | None] | None = None

    @property
    def ended_well(self) -> tuple[int, ...]:
        """Seeds with a result."""
        return tuple(entry.record.seed for entry in self.entries if entry.record.status == "ok")

    @property
    def compared(self) -> bool:
        """Whether it ranks: a method, and nothing but failures outside the table's seeds is marked."""
        return self.kind == "method" and bool(self.counted) and all(mark.kind == "failed" for mark in self.marks)

    def of_seeds(self, seeds: Iterable[int]) -> list[Entry]:
        """Its entries for ``seeds``."""
        wanted = set(seeds)
        return [entry for entry in self.entries if entry.record.seed in wanted]

    def marked(self, kind: MarkKind, detail: str = "") -> BoardCandidate:
        """The same with one more mark."""
        return replace(self, marks=(*self.marks, Mark(kind, detail)))


@dataclass(frozen=True)
class Reference:
    """What most variants share: data revision, source weights by seed, versions."""

    fingerprint: str
    weights: Mapping[int, str]
    versions: Mapping[str, str]

    def departure(self, entry: Entry) -> MarkKind | None:
        """How a run that ended well departs from it in what it started from."""
        if entry.fingerprint != self.fingerprint or not entry.fingerprint:
            return "data"
        return None if entry.weights and entry.weights == self.weights.get(entry.record.seed) else "weights"


def find_reference(entries: Sequence[Entry], variants: Mapping[int, MethodVariant]) -> Reference:
    """The values that most variants have. Equal numbers: the newest data and versions, and for weights those
    of the variant whose label comes first, so that all seeds are decided alike."""
    done = [entry for entry in entries if entry.record.status == "ok"]

    def label(entry: Entry) -> str:
        return variants[id(entry)].label

    fingerprint = most_shared(done, lambda entry: entry.fingerprint, label) or ""
    same = [entry for entry in done if entry.fingerprint == fingerprint]
    seeds = sorted({entry.record.seed for entry in same})
    weights = {
        seed: most_shared([e for e in same if e.record.seed == seed], lambda e: e.weights, label, newest=False) or ""
        for seed in seeds
    }
    versions = most_shared(same, compared_versions, label) or ()
    return Reference(fingerprint, weights, dict(versions))


def most_shared(
    entries: Sequence[Entry], value: Callable[[Entry], T], label: Callable[[Entry], str], newest: bool = True
) -> T | None:
    """The value that most labels have; None where there is no entry."""
    labels: dict[T, set[str]] = defaultdict(set)
    ages: dict[T, Any] = {}
    for entry in entries:
        labels[value(entry)].add(label(entry))
        ages[value(entry)] = max(ages.get(value(entry), ("", "", "")), entry.age)
    if not labels:
        return None
    most = max(map(len, labels.values()))
    rivals = [found for found, owners in labels.items() if len(owners) == most]
    return (
        max(rivals, key=ages.__getitem__)
        if newest
        else min(rivals, key=lambda found: (min(labels[found]), repr(found)))
    )


def compared_versions(entry: Entry) -> tuple[tuple[str, str], ...]:
    """The versions that must agree."""
    return tuple((name, entry.record.versions.get(name, "unknown")) for name in COMPARED_VERSIONS)


def mark_seeds(candidate: BoardCandidate, seeds: Sequence[int]) -> BoardCandidate:
    """Count the table's seeds where all are there; else what is there, with a mark."""
    done = candidate.ended_well
    failed = [entry.record.seed for entry in candidate.entries if entry.record.status != "ok"]
    if failed:
        candidate = candidate.marked("failed", spell_seeds(failed))
    missing = [seed for seed in seeds if seed not in done]
    if candidate.marks and candidate.marks[0].kind in ("data", "weights"):
        return replace(candidate, counted=done)
    if not missing:
        return replace(candidate, counted=tuple(seeds))
    return replace(candidate, counted=done).marked("seeds", spell_seeds(missing))


def mark_versions(candidate: BoardCandidate, reference: Reference) -> BoardCandidate:
    """A mark where a counted run was made with other versions."""
    found = {
        f"{name} {version}"
        for entry in candidate.of_seeds(candidate.counted)
        for name, version in compared_versions(entry)
        if reference.versions.get(name) != version
    }
    return candidate.marked("versions", ", ".join(sorted(found))) if found else candidate


def mark_predictions(candidate: BoardCandidate, metric: str, images: str) -> BoardCandidate:
    """Marks where scores cannot be recomputed, are not what was recorded, or are of other images."""
    scored = candidate.scored or {}
    unread = [seed for seed in candidate.counted if scored.get(seed) is None]
    other, wrong = [], []
    for entry in candidate.of_seeds(candidate.counted):
        found = scored.get(entry.record.seed)
        if found is None:
            continue
        if found.images.key != images:
            other.append(entry.record.seed)
        if not abs(entry.record.metrics.get(metric, float("nan")) - found.value()) <= TOLERANCE:
            wrong.append(entry.record.seed)
    kinds: list[tuple[MarkKind, list[int]]] = [("predictions", unread), ("data", other), ("mismatch", wrong)]
    already = {mark.kind for mark in candidate.marks}
    for kind, seeds in kinds:
        if seeds and kind not in already:
            candidate = candidate.marked(kind, spell_seeds(seeds))
    return candidate


def table_seeds(candidates: Sequence[BoardCandidate]) -> tuple[int, ...]:
    """The seeds that most comparable methods have; the larger set among equally frequent ones."""
    for kinds in (("method",), ("source-only", "oracle")):
        counts: dict[tuple[int, ...], int] = defaultdict(int)
        for candidate in candidates:
            if candidate.kind in kinds and not candidate.marks and candidate.ended_well:
                counts[candidate.ended_well] += 1
        if counts:
            return max(counts, key=lambda seeds: (counts[seeds], len(seeds), seeds))
    return ()


def spell_seeds(seeds: Iterable[int]) -> str:
    """``seed 0`` or ``seeds 0, 2``."""
    numbers = sorted(set(seeds))
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
