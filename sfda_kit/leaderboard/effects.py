"""Main effects of the factors of a grid: they show which part of a method raises the score.

The main effect of a level is the mean, over all settings of the other factors, of the score with this level minus the
score with the first level of its factor. Draws are linear in the scores (``statistics.py``), so an effect is one
column minus another. Effects are always paired by seed, and by image wherever two cells were scored on the same
images. Where a factor changes the test images themselves (another sensor), the draws of images are independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sfda_kit.leaderboard.board import BoardRow, Comparison
from sfda_kit.leaderboard.scores import Scored
from sfda_kit.leaderboard.statistics import Draws, compare, draw_scored

Levels = Mapping[str, str]
"""The level that a variant has in each factor."""

Factors = Mapping[str, Sequence[str]]
"""Levels by factor; the other levels are compared with the first one."""


@dataclass(frozen=True)
class Effect:
    """An effect is ``level`` minus ``baseline`` of one factor, in points of percent.

    It is a mean over ``averaged`` settings of the other factors. ``planned``: number of settings in the grid; those
    without a result for both levels are left out. ``comparison`` is corrected over all effects of a block.
    """

    factor: str
    level: str
    baseline: str
    comparison: Comparison
    averaged: int
    planned: int


@dataclass(frozen=True)
class GridRow:
    """A grid row is one variant of the grid, or a reference row, which has no ``levels``."""

    name: str
    levels: Levels
    row: BoardRow


@dataclass(frozen=True)
class Block:
    """A block holds the results on one task and network, or over all of them; in that case ``rows`` is empty."""

    title: str
    rows: tuple[GridRow, ...]
    effects: tuple[Effect, ...]
    seeds: tuple[int, ...]
    groups: int
    synthetic: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Ablation:
    """An ablation holds a block for each task and network of a grid, then one over all where there are several."""

    name: str
    title: str
    metric: str
    factors: Factors
    one_at_a_time: bool
    blocks: tuple[Block, ...]


def draw_cells(scored: Sequence[Sequence[Scored]], seeds: Sequence[int], size: int) -> Draws:
    """Return joint draws of variants from ``scored``, their counts by variant and seed.
    Generators are seeded by content, so equal images share the draws of images, and all variants those of seeds."""
    estimate, values = np.empty(len(scored)), np.empty((size, len(scored)))
    groups = []
    keys = [tuple(one.images.key for one in row) for row in scored]
    for key in dict.fromkeys(keys):
        columns = [number for number, own in enumerate(keys) if own == key]
        images = [one.images for one in scored[columns[0]]]
        correct = [[one.correct for one in scored[column]] for column in columns]
        found = draw_scored(correct, images, seeds, size)
        estimate[columns], values[:, columns] = found.estimate, found.values
        groups.append(found.groups)
    return Draws(estimate, values, len(seeds), min(groups))


def main_effects(draws: Draws, there: Sequence[Levels], planned: Sequence[Levels], factors: Factors) -> list[Effect]:
    """Return the effects of every level but the first of each factor, where both levels share a setting of the others.
    ``there``: levels of the variant in each column of ``draws``; ``planned``: levels of all variants of the grid."""
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
    """Return index pairs of variants, at ``level`` and at ``baseline``, that differ in ``factor`` alone."""
    at = {
        (levels[factor], tuple(sorted((name, other) for name, other in levels.items() if name != factor))): number
        for number, levels in enumerate(variants)
    }
    return [
        (number, at[baseline, rest]) for (own, rest), number in at.items() if own == level and (baseline, rest) in at
    ]
