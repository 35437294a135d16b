"""The rules for which rows of a table may be compared: a row that lacks what most rows share gets a mark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from sfda_kit.leaderboard.board import Kind, Mark, MarkKind, Track
from sfda_kit.leaderboard.entries import Entry, split_follows
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.variants import MethodVariant

T = TypeVar("T")

COMPARED_VERSIONS = ("sfda-kit", "torch")

TOLERANCE = 0.01
"""Points of percent by which a recorded score may differ from the recomputed one (rounding)."""


@dataclass(frozen=True)
class BoardCandidate:
    """A candidate for a row holds the runs of one variant that share the data revision and the source models.

    ``entries``: one for each seed, in order of seeds. ``counted``: seeds whose figures count. ``scored``: counts of
    correct predictions by seed, None where the predictions cannot be used.
    """

    variant: MethodVariant
    kind: Kind
    entries: tuple[Entry, ...]
    marks: tuple[Mark, ...] = ()
    counted: tuple[int, ...] = ()
    scored: Mapping[int, Scored | None] | None = None

    @property
    def ended_well(self) -> tuple[int, ...]:
        """The seeds with a result."""
        return tuple(entry.record.seed for entry in self.entries if entry.record.status == "ok")

    def counts(self, entry: Entry) -> bool:
        """Return whether the figures of ``entry`` count."""
        return entry.record.seed in self.counted and entry.record.status == "ok"

    @property
    def compared(self) -> bool:
        """True where the row ranks: it is a method with counted seeds, and has no mark but ``failed``."""
        return self.kind == "method" and bool(self.counted) and all(mark.kind == "failed" for mark in self.marks)

    @cached_property
    def track(self) -> Track | None:
        """What its runs used; None where that is not known, or not the same for all that ended well."""
        found = {entry.track for entry in self.entries if entry.record.status == "ok" or not self.ended_well}
        return found.pop() if len(found) == 1 else None

    def of_seeds(self, seeds: Iterable[int]) -> list[Entry]:
        """Return the entries of ``seeds``."""
        wanted = set(seeds)
        return [entry for entry in self.entries if entry.record.seed in wanted]

    def marked(self, kind: MarkKind, detail: str = "") -> BoardCandidate:
        """Return a copy with one more mark."""
        return replace(self, marks=(*self.marks, Mark(kind, detail)))


@dataclass(frozen=True)
class Reference:
    """A reference holds the data revision, source weights (by seed) and versions that most variants share.

    ``by_seed``: the data revision of each seed, where each has a split of its own. ``fingerprint`` is then empty.
    """

    fingerprint: str
    weights: Mapping[int, str]
    versions: Mapping[str, str]
    by_seed: Mapping[int, str] = field(default_factory=dict)

    def departure(self, entry: Entry) -> MarkKind | None:
        """Return the mark of a run that ended well but started from other data or weights, else None."""
        if entry.fingerprint != self.revision(entry) or not entry.fingerprint:
            return "data"
        return None if entry.weights and entry.weights == self.weights.get(entry.record.seed) else "weights"

    def revision(self, entry: Entry) -> str:
        """Return the data revision that the run of ``entry`` should have."""
        return self.by_seed.get(entry.record.seed, self.fingerprint)


def find_reference(entries: Sequence[Entry], variants: Mapping[int, MethodVariant]) -> Reference:
    """Return the values that most variants have; in a tie the newest data and the newest versions win.
    For weights the variant whose label comes first wins, so that every seed is decided in the same way."""
    done = [entry for entry in entries if entry.record.status == "ok"]

    def label(entry: Entry) -> str:
        return variants[id(entry)].label

    fingerprint = most_shared(done, lambda entry: entry.fingerprint, label) or ""
    by_seed: dict[int, str] = {}
    if split_follows(done):
        fingerprint = ""
        for seed in {entry.record.seed for entry in done}:
            own = [entry for entry in done if entry.record.seed == seed]
            by_seed[seed] = most_shared(own, lambda entry: entry.fingerprint, label) or ""
    same = [entry for entry in done if entry.fingerprint == by_seed.get(entry.record.seed, fingerprint)]
    seeds = sorted({entry.record.seed for entry in same})
    weights = {
        seed: most_shared([e for e in same if e.record.seed == seed], lambda e: e.weights, label, newest=False) or ""
        for seed in seeds
    }
    versions = most_shared(same, compared_versions, label) or ()
    return Reference(fingerprint, weights, dict(versions), by_seed)


def most_shared(
    entries: Sequence[Entry], value: Callable[[Entry], T], label: Callable[[Entry], str], newest: bool = True
) -> T | None:
    """Return the value that most labels have, None where there is no entry.
    In a tie the newest value wins if ``newest``, else the value of the label that comes first."""
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
    """Return the versions that must be equal in compared runs."""
    return tuple((name, entry.record.versions.get(name, "unknown")) for name in COMPARED_VERSIONS)


def mark_seeds(candidate: BoardCandidate, seeds: Sequence[int]) -> BoardCandidate:
    """Count the table's seeds where the candidate has them all; else count the seeds that it has, and mark it."""
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
    """Mark the candidate where one of its counted runs was made with other versions."""
    found = {
        f"{name} {version}"
        for entry in candidate.of_seeds(candidate.counted)
        for name, version in compared_versions(entry)
        if reference.versions.get(name) != version
    }
    return candidate.marked("versions", ", ".join(sorted(found))) if found else candidate


def mark_track(candidate: BoardCandidate) -> BoardCandidate:
    """Mark a method of which nobody knows what it used."""
    unknown = candidate.kind == "method" and candidate.ended_well and candidate.track is None
    return candidate.marked("track") if unknown else candidate


def with_source_counts(candidates: Sequence[BoardCandidate]) -> list[BoardCandidate]:
    """Fill in the counts of the source models from the runs of ``source-only``: the predictions of others lack them."""
    known = {
        (seed, entry.weights): scored
        for candidate in candidates
        if candidate.kind == "source-only"
        for entry in candidate.entries
        if (scored := (candidate.scored or {}).get(seed := entry.record.seed)) is not None
    }

    def filled(entry: Entry, scored: Scored | None) -> Scored | None:
        source = known.get((entry.record.seed, entry.weights))
        same = scored is not None and source is not None and source.images.key == scored.images.key
        return replace(scored, source_correct=source.correct) if same else scored  # type: ignore[type-var, union-attr]

    return [
        replace(
            one, scored={e.record.seed: filled(e, (one.scored or {})[e.record.seed]) for e in one.of_seeds(one.counted)}
        )
        for one in candidates
    ]


def mark_predictions(candidate: BoardCandidate, metric: str, images: Mapping[int, str]) -> BoardCandidate:
    """Mark scores that cannot be recomputed, differ from the recorded ones, or belong to other images.

    ``images``: the key of the images by seed.
    """
    scored = candidate.scored or {}
    unread = [seed for seed in candidate.counted if scored.get(seed) is None]
    other, wrong = [], []
    for entry in candidate.of_seeds(candidate.counted):
        found = scored.get(entry.record.seed)
        if found is None:
            continue
        if found.images.key != images.get(entry.record.seed):
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
    """Return the seeds that most comparable methods have, without methods those of ``source-only``, else of controls.

    Of equally frequent sets the larger one wins.
    """
    for kinds in (("method",), ("source-only",), ("oracle", "control")):
        counts: dict[tuple[int, ...], int] = defaultdict(int)
        for candidate in candidates:
            spoilt = any(mark.kind not in ("oracle", "control") for mark in candidate.marks)
            if candidate.kind in kinds and not spoilt and candidate.ended_well:
                counts[candidate.ended_well] += 1
        if counts:
            return max(counts, key=lambda seeds: (counts[seeds], len(seeds), seeds))
    return ()


def spell_seeds(seeds: Iterable[int]) -> str:
    """Return ``seed 0`` or ``seeds 0, 2``."""
    numbers = sorted(set(seeds))
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
