"""Rows of a table with folds: they are marked within each fold, joined over folds, and ranked over all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sfda_kit.leaderboard.board import Mark, MarkKind
from sfda_kit.leaderboard.comparable import BoardCandidate
from sfda_kit.leaderboard.entries import SOURCE_ONLY, Entry, mapping, whole
from sfda_kit.leaderboard.fold_statistics import FoldCounts, FoldDraws, compare_folds, draw_folds, smallest_seen
from sfda_kit.leaderboard.ranking import Ranking, behind_best, source_counts
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.statistics import ALL_PAIRS_UP_TO, RESAMPLES, pairs_to_compare, ranks, tied
from sfda_kit.leaderboard.variants import MethodVariant


@dataclass(frozen=True)
class FoldRow:
    """A row over folds: the candidate with all its runs, and the candidate of each fold that has scores."""

    whole: BoardCandidate
    by_fold: Mapping[int, BoardCandidate]


def by_fold(entries: Sequence[Entry]) -> dict[int, list[Entry]]:
    """Return the entries of each fold; empty where they have one split, or all are of one fold."""
    found: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.fold is None:
            return {}
        found[entry.fold].append(entry)
    return dict(sorted(found.items())) if len(found) > 1 and folds_of_repetition(entries) > 1 else {}


def folds_of_repetition(entries: Sequence[Entry]) -> int:
    """Return the number of folds in a repetition, as the records of the table say it; 0 where they do not."""
    return max((whole(mapping(entry.record.task.get("folds")).get("folds")) for entry in entries), default=0)


def join(folds: Mapping[int, Sequence[BoardCandidate]]) -> list[FoldRow]:
    """Return one row for each variant, and one more for its runs on other data or from other source models.

    A row that lacks a fold is marked: its mean would be over other images than that of the other rows.
    """
    rows: dict[tuple[MethodVariant, str, int], dict[int, BoardCandidate]] = defaultdict(dict)
    for fold, candidates in folds.items():
        times: Counter[tuple[MethodVariant, str]] = Counter()
        for candidate in candidates:
            departed = next((mark.kind for mark in candidate.marks if mark.kind in ("data", "weights")), "")
            number = times[candidate.variant, departed]  # a variant may have runs on several other data revisions
            rows[candidate.variant, departed, number][fold] = candidate
            times[candidate.variant, departed] += 1
    return [FoldRow(_joined(own, folds), own) for _, own in sorted(rows.items())]


def _joined(own: Mapping[int, BoardCandidate], folds: Mapping[int, object]) -> BoardCandidate:
    first = next(iter(own.values()))
    details: dict[MarkKind, list[str]] = defaultdict(list)
    for fold, candidate in own.items():
        for mark in candidate.marks:
            details[mark.kind].append(f"fold {fold}: {mark.detail}" if mark.detail else "")
    if missing := [fold for fold in folds if fold not in own]:
        details["seeds"].append(f"no run on fold{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}")
    marks = tuple(Mark(kind, "; ".join(filter(None, told))) for kind, told in details.items())
    return replace(
        first,
        entries=tuple(entry for candidate in own.values() for entry in candidate.entries),
        marks=marks,
        counted=tuple(sorted({seed for candidate in own.values() for seed in candidate.counted})),
    )


def rank_folds(rows: Sequence[FoldRow], seeds: Sequence[int], folds: int) -> Ranking | None:
    """Rank the rows that may be compared over all their folds; return None where there is none."""
    compared = [row for row in rows if row.whole.compared]
    if not compared or not seeds:
        return None
    labels = tuple(row.whole.variant.label for row in compared)
    scored = [
        [[_of(row.by_fold[fold], seed) for seed in seeds] for row in compared] for fold in sorted(compared[0].by_fold)
    ]
    count = len(labels)
    known = all(map(source_counts, scored))
    both = draw_folds([fold_counts(own, with_source=known) for own in scored], seeds, folds, RESAMPLES)
    found = _first(both, count)
    pairs = pairs_to_compare(found.draws, labels)
    comparisons = compare_folds(found, labels, pairs)
    ranked = ranks(labels, comparisons)
    against = [(column, count + column) for column in range(count)] if known else []
    versus_source = compare_folds(both, [*labels, *(SOURCE_ONLY for _ in labels)], against)
    return Ranking(
        labels=labels,
        draws=found.draws,
        ranks=ranked,
        tied=frozenset(tied(ranked)),
        comparisons=comparisons,
        versus_best=behind_best(comparisons),
        versus_source=dict(zip(labels, versus_source, strict=known)),
        notices=tuple(_limits(both, count, pairs or against)),
    )


def _of(candidate: BoardCandidate, seed: int) -> Scored:
    found = (candidate.scored or {})[seed]
    assert found is not None, "a row without predictions is not compared"
    return found


def fold_counts(scored: Sequence[Sequence[Scored]], with_source: bool = False) -> FoldCounts:
    """Return the counts of variants. Behind them stand, if ``with_source``, those of the models they started from."""
    correct = [[one.correct for one in row] for row in scored]
    images = scored[0][0].images
    return FoldCounts(correct + (source_counts(scored) if with_source else []), images.total, images.key)


def _first(found: FoldDraws, count: int) -> FoldDraws:
    draws = replace(found.draws, estimate=found.draws.estimate[:count], values=found.draws.values[:, :count])
    return replace(found, by_fold=found.by_fold[:count], draws=draws)


def _limits(found: FoldDraws, variants: int, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Return sentences on what the table can show: above all the smallest difference that it could have seen."""
    folds = found.by_fold.shape[1]
    said = _seen(found, pairs, folds) if pairs else []
    if folds % found.folds:
        said.append(
            f"{folds} folds are no whole number of repetitions of {found.folds}, so not all groups count equally often."
        )
    if variants > ALL_PAIRS_UP_TO:
        said.append(f"{variants} variants: each is compared with the best one only, so ranks are 1 or 2.")
    return said


def _seen(found: FoldDraws, pairs: Sequence[tuple[int, int]], folds: int) -> list[str]:
    one, all_ = smallest_seen(found, pairs)
    strict = f"At the strictest level of Holm's correction, with {len(pairs)} comparisons, it is {all_:.1f} points."
    return [  # a renderer cuts what is longer than a line or two
        "The smallest difference that could have been seen (80 % power, 5 % level, median of pairs): "
        f"{one:.1f} points.",
        *([strict] if len(pairs) > 1 else []),
        f"It is the difference that the t-test over {folds} folds finds with that power. Rows that differ by less are "
        "not told apart, and need not be equal.",
    ]
