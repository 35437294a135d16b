"""Comparison of the comparable rows of one table with each other and with their source models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sfda_kit.leaderboard.board import Comparison
from sfda_kit.leaderboard.comparable import BoardCandidate
from sfda_kit.leaderboard.scores import Counts, Scored, ScoredImages
from sfda_kit.leaderboard.statistics import (
    ALL_PAIRS_UP_TO,
    Draws,
    compare,
    draw_scored,
    pairs_to_compare,
    ranks,
    resamples_for,
    tied,
)

FEW_GROUPS = 20
FEW_SEEDS = 5


@dataclass(frozen=True)
class Ranking:
    """A ranking holds ranks by label, the comparisons that give them, and the draws, with one column for each label."""

    labels: tuple[str, ...]
    draws: Draws
    ranks: Mapping[str, int]
    tied: frozenset[str]
    comparisons: tuple[Comparison, ...]
    versus_best: Mapping[str, Comparison]
    versus_source: Mapping[str, Comparison]
    notices: tuple[str, ...]


def rank(candidates: Sequence[BoardCandidate], seeds: Sequence[int]) -> Ranking | None:
    """Rank the candidates that may be compared; return None where there is none."""
    compared = [candidate for candidate in candidates if candidate.compared]
    if not compared or not seeds:
        return None
    labels = tuple(candidate.variant.label for candidate in compared)
    scored = [[_of(candidate, seed) for seed in seeds] for candidate in compared]
    pairs = min(len(labels) * (len(labels) - 1) // 2, ALL_PAIRS_UP_TO**2)
    images = [one.images for one in scored[0]]
    draws, sources = _draws(scored, images, seeds, resamples_for(max(pairs, 1)))
    comparisons = compare(draws, labels, pairs_to_compare(draws, labels))
    found = ranks(labels, comparisons)
    return Ranking(
        labels=labels,
        draws=draws,
        ranks=found,
        tied=frozenset(tied(found)),
        comparisons=comparisons,
        versus_best=behind_best(comparisons),
        versus_source=_versus_source(sources, labels),
        notices=limits(len(labels), draws, len({one.key for one in images}) > 1),
    )


def _of(candidate: BoardCandidate, seed: int) -> Scored:
    found = (candidate.scored or {})[seed]
    assert found is not None, "a row without predictions is not compared"
    return found


def _draws(
    scored: Sequence[Sequence[Scored]], images: Sequence[ScoredImages], seeds: Sequence[int], size: int
) -> tuple[Draws, Draws]:
    """Return the draws of the variants, and the draws of variants and source models as columns of one matrix."""
    correct: list[list[Counts]] = [[one.correct for one in row] for row in scored]
    both = draw_scored(correct + source_counts(scored), images, seeds, size)
    count = len(scored)
    return replace(both, estimate=both.estimate[:count], values=both.values[:, :count]), both


def source_counts(scored: Sequence[Sequence[Scored]]) -> list[list[Counts]]:
    """Return the counts of the source models of all rows; nothing where those of one are not known."""
    found = [[one.source_correct for one in row if one.source_correct is not None] for row in scored]
    return found if all(len(known) == len(row) for known, row in zip(found, scored, strict=True)) else []


def _versus_source(both: Draws, labels: Sequence[str]) -> dict[str, Comparison]:
    count = len(labels)
    if len(both.estimate) == count:
        return {}
    names = [*labels, *("source-only" for _ in labels)]
    found = compare(both, names, [(column, count + column) for column in range(count)])
    return dict(zip(labels, found, strict=True))


def behind_best(comparisons: Sequence[Comparison]) -> dict[str, Comparison]:
    """Return the comparison of each variant minus the best one, which is the first of the first pair."""
    if not comparisons:
        return {}
    best = comparisons[0].first
    return {found.second: turned(found) for found in comparisons if found.first == best}


def turned(found: Comparison) -> Comparison:
    """Return the same comparison with ``first`` and ``second`` exchanged."""
    return replace(
        found,
        first=found.second,
        second=found.first,
        difference=-found.difference,
        low=-found.high,
        high=-found.low,
        resampled=(-found.resampled[1], -found.resampled[0]) if found.resampled else None,
    )


def limits(variants: int, draws: Draws, splits: bool = False) -> tuple[str, ...]:
    """Return sentences on what the intervals cannot show with so few seeds or groups of images, or so many variants.

    ``splits``: each seed has a split of its own.
    """
    said = []
    if draws.seeds == 1:
        said.append("One seed: seeds are not resampled, so intervals speak of other images only, not of other seeds.")
    elif draws.seeds < FEW_SEEDS and variants > 1:
        said.append(
            f"With {draws.seeds} seeds only large differences can be told apart; more seeds narrow the intervals."
        )
    if splits:
        said.append(
            "Each seed has a split of its own: intervals speak of other seeds and splits. The splits share images, so "
            "intervals are likely too narrow."
        )
    elif draws.groups == 1:
        said.append("All images are one group: images are not resampled, so intervals speak of other seeds only.")
    elif draws.groups < FEW_GROUPS:
        said.append(f"Only {draws.groups} groups of images: intervals are likely too narrow.")
    if variants > ALL_PAIRS_UP_TO:
        said.append(f"{variants} variants: each is compared with the best one only, so ranks are 1 or 2.")
    return tuple(said)
