"""Which part earns the points: main effects of a grid, from the draws that every comparison is made of.

The main effect of a level is the mean, over all settings of the other factors, of the score with this level
minus the score with the first level of its factor. Draws are linear in the scores (``statistics.py``), so an
effect is one column minus another: paired by seed always, and by image wherever two cells were scored on the
same images. Where a factor changes the test images themselves (another sensor), their draws are independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sfda_kit.leaderboard.board import BoardRow, Comparison
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.statistics import Draws, compare, draw

Levels = Mapping[str, str]
"""The level of a variant in every factor."""

Factors = Mapping[str, Sequence[str]]
"""Levels by factor; the first is the one that others are compared with."""


@dataclass(frozen=True)
class Effect:
    """``level`` minus ``baseline`` of one factor, in points, a mean over ``averaged`` settings of the other factors.

    ``planned``: how many settings the grid has; those without a result for both levels are not averaged.
    ``comparison`` is corrected over all effects of a block.
    """

    factor: str
    level: str
    baseline: str
    comparison: Comparison
    averaged: int
    planned: int


@dataclass(frozen=True)
class GridRow:
    """One variant of the grid, or a reference beside it (``levels`` empty)."""

    name: str
    levels: Levels
    row: BoardRow


@dataclass(frozen=True)
class Block:
    """A grid on one task and network, or over all of them (``rows`` empty then)."""

    title: str
    rows: tuple[GridRow, ...]
    effects: tuple[Effect, ...]
    seeds: tuple[int, ...]
    groups: int
    synthetic: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """What a grid has shown: ``blocks`` by task and network, then one over all where there are several.

    ``factors``: levels by factor, the one that others are compared with first.
    """

    name: str
    title: str
    metric: str
    factors: Factors
    one_at_a_time: bool
    blocks: tuple[Block, ...]


def draw_cells(scored: Sequence[Sequence[Scored]], seeds: Sequence[int], size: int) -> Draws:
    """Joint draws of variants, whose counts are ``scored`` by variant and seed.

    Variants on the same images share them; the draws of seeds are shared by all, because both generators are
    seeded by what they draw.
    """
    estimate, values = np.empty(len(scored)), np.empty((size, len(scored)))
    groups = []
    for key in dict.fromkeys(row[0].images.key for row in scored):
        columns = [number for number, row in enumerate(scored) if row[0].images.key == key]
        images = scored[columns[0]][0].images
        correct = [[one.correct for one in scored[column]] for column in columns]
        found = draw(correct, images.total, images.key, seeds, size)
        estimate[columns], values[:, columns] = found.estimate, found.values
        groups.append(found.groups)
    return Draws(estimate, values, len(seeds), min(groups))


def main_effects(draws: Draws, there: Sequence[Levels], planned: Sequence[Levels], factors: Factors) -> list[Effect]:
    """Effects of every level but the first of each factor.

    ``there``: the variant of each column of ``draws``; ``planned``: those of the whole grid. An effect for
    which no setting of the other factors has both levels is left out.
    """
    found = []
    for factor, (baseline, *others) in factors.items():
        for level in others:
            if pairs := matched(there, factor, level, baseline):
                found.append((factor, level, baseline, pairs))
    if not found:
        return []
    columns = [[pair[side] for pair in pairs] for *_, pairs in found for side in (0, 1)]
    means = Draws(
        np.array([draws.estimate[own].mean() for own in columns]),
        np.stack([draws.values[:, own].mean(axis=1) for own in columns], axis=1),
        draws.seeds,
        draws.groups,
    )
    labels = [f"{factor}={level}" for factor, *pair, _ in found for level in pair]
    comparisons = compare(means, labels, [(2 * number, 2 * number + 1) for number in range(len(found))])
    return [
        Effect(factor, level, baseline, comparison, len(pairs), len(matched(planned, factor, level, baseline)))
        for (factor, level, baseline, pairs), comparison in zip(found, comparisons, strict=True)
    ]


def matched(variants: Sequence[Levels], factor: str, level: str, baseline: str) -> list[tuple[int, int]]:
    """Numbers of the variants that differ in ``factor`` alone: one at ``level``, the other at ``baseline``."""
    at = {
        (levels[factor], tuple(sorted((name, other) for name, other in levels.items() if name != factor))): number
        for number, levels in enumerate(variants)
    }
    return [
        (number, at[baseline, rest]) for (own, rest), number in at.items() if own == level and (baseline, rest) in at
    ]
