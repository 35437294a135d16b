"""Paired comparison of variants: groups of images are resampled, and intervals allow for few seeds and tasks.

The difference of two variants on one task is a mean over seeds of scores on the same images. It varies with the seed
and with the images, and both are crossed, because every seed is scored on the same images. Therefore

* **images** are resampled by group (scene, video): G - 1 of G groups are drawn with replacement, in one draw for all
  seeds and variants (a paired cluster bootstrap; drawing G - 1 makes its variance unbiased, Rao and Wu 1988);
* **seeds** are drawn by a multiplier bootstrap with Student's factor: each draw adds the seeds' deviations from their
  mean with normal weights, divided by sqrt(chi2 / (S - 1)). Plain resampling of 3 seeds would call a difference real
  whenever the three agree in sign, which happens by chance alone in 1 of 4 cases;
* **splits** are drawn together with their seeds where each seed has a split of its own (``draw_scored``);
* **tasks** are drawn in the same way as seeds where there are enough of them (``statistics.over_tasks``).

Weights and deviations add up linearly, so the draws of a difference are the difference of two columns of draws, and
all pairs share one matrix. Generators are seeded by content, so everything depends on the counts alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sfda_kit.leaderboard.board import Comparison
from sfda_kit.leaderboard.scores import Counts, ScoredImages, percent

Floats = NDArray[np.float64]

LEVEL = 0.05
RESAMPLES = 4000
ALL_PAIRS_UP_TO = 40
"""The largest number of variants for which all pairs are compared; of more, each is compared with the best one only."""

BLOCK = 1000
"""Size of a block of draws. Blocks save memory on large test sets, and a longer series begins with the shorter one."""


@dataclass(frozen=True)
class Draws:
    """Draws hold the estimates (V,) of variants in percent and their joint resampled values (B, V)."""

    estimate: Floats
    values: Floats
    seeds: int
    groups: int

    def difference(self, first: int, second: int) -> tuple[float, Floats]:
        """Return estimate and draws (B,) of variant ``first`` minus variant ``second``."""
        estimate = float(self.estimate[first] - self.estimate[second])
        return estimate, self.values[:, first] - self.values[:, second]


def generator(*content: object) -> np.random.Generator:
    """Return a random generator that is seeded by ``content`` alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(content).encode()).digest()[:16], "big"))


def resamples_for(pairs: int) -> int:
    """Return a number B of draws whose smallest p-value, 2 / (B + 1), is below the correction's smallest threshold."""
    wanted = max(RESAMPLES, int(80 * pairs))
    return -(-wanted // BLOCK) * BLOCK


def draw(correct: Sequence[Sequence[Counts]], total: Counts, images: str, seeds: Sequence[int], size: int) -> Draws:
    """Resample seeds and groups of images jointly for all variants; the memory needed is that of the result (size, V).

    ``correct``: counts (G, K) by variant and seed, in the order of ``seeds``; ``total``: (G, K). ``images`` identifies
    the images, so that tables on the same images share draws.
    """
    stacked = np.asarray(correct, dtype=np.float64)  # (V, S, G, K)
    by_seed = percent(stacked.sum(2), total.sum(0))  # (V, S)
    estimate = by_seed.mean(1)
    values = resampled_groups(stacked.sum(1), total, len(seeds), generator("images", images, total.shape[0]), size)
    values += _student(by_seed - estimate[:, None], generator("seeds", tuple(seeds)), size)
    return Draws(estimate, values, len(seeds), total.shape[0])


def draw_scored(
    correct: Sequence[Sequence[Counts]], images: Sequence[ScoredImages], seeds: Sequence[int], size: int
) -> Draws:
    """Return joint draws of variants, whose counts (G, K) ``correct`` holds by variant and seed.

    ``images``: those of each seed. Where seeds have images of their own, a seed and its split are one unit: its
    deviation holds the chance of both, so only units are resampled, and images are not resampled once more.
    """
    if len({one.key for one in images}) == 1:
        return draw(correct, images[0].total, images[0].key, seeds, size)
    totals = [one.total.sum(0) for one in images]
    by_seed = np.array([[percent(c.sum(0), total) for c, total in zip(row, totals, strict=True)] for row in correct])
    estimate = by_seed.mean(1)
    spread = _student(by_seed - estimate[:, None], generator("seeds", tuple(seeds)), size)
    return Draws(estimate, estimate + spread, len(seeds), min(one.total.shape[0] for one in images))


def resampled_groups(correct: Floats, total: Counts, seeds: int, rng: np.random.Generator, size: int) -> Floats:
    """Return resampled scores (size, V) from counts (V, G, K) that are summed over ``seeds`` seeds.
    Weights and their products with counts are whole numbers, so equal predictions give equal draws."""
    variants, groups, classes = correct.shape
    columns = correct.transpose(1, 0, 2).reshape(groups, variants * classes)
    values = np.empty((size, variants))
    if groups == 1:
        values[:] = percent(correct[:, 0], seeds * total[0])
        return values
    for start in range(0, size, BLOCK):
        weights = _weights(rng, groups)
        scored = (weights @ columns).reshape(BLOCK, variants, classes)
        values[start : start + BLOCK] = percent(scored, seeds * (weights @ total)[:, None, :])
    return values


def _weights(rng: np.random.Generator, groups: int) -> Floats:
    """Return how often each group is drawn (BLOCK, G), in G - 1 draws with replacement."""
    drawn = rng.integers(0, groups, (BLOCK, groups - 1))
    drawn += groups * np.arange(BLOCK)[:, None]
    return np.bincount(drawn.ravel(), minlength=BLOCK * groups).reshape(BLOCK, groups).astype(np.float64)


def _student(deviations: Floats, rng: np.random.Generator, size: int) -> Floats:
    """Return draws (size, V) of the error of a mean over n units, from the units' deviations (V, n) from that mean.

    Given the deviations, each column follows Student's t with n - 1 degrees of freedom, times the standard error, and
    columns keep their correlation. The draws are zero for a single unit, because its error is unknown.
    """
    units = deviations.shape[1]
    if units == 1:
        return np.zeros((size, deviations.shape[0]))
    weights, spreads = rng.spawn(2)  # Separate generators, so that a longer series begins with the shorter one.
    normal = weights.standard_normal((size, units))
    scale = np.sqrt(units * spreads.chisquare(units - 1, size))
    spread = np.zeros((size, deviations.shape[0]))
    for unit in range(units):  # The order is the same for every column, so that equal columns stay equal.
        spread += normal[:, unit, None] * deviations[None, :, unit]
    return np.asarray(spread / scale[:, None])


def over_tasks(blocks: Sequence[Draws], tasks: Sequence[str]) -> Draws:
    """Return the mean over blocks of the same variants; blocks of one task (several networks) are averaged first.
    With fewer than ``TASKS_RESAMPLED`` tasks the interval holds for these tasks alone, else for similar ones too."""
    names = sorted(set(tasks))
    size = min(block.values.shape[0] for block in blocks)
    member = [[block for block, task in zip(blocks, tasks, strict=True) if task == name] for name in names]
    estimates = np.stack([np.mean([block.estimate for block in own], axis=0) for own in member], axis=1)  # (V, T)
    inner = np.mean([np.mean([block.values[:size] for block in own], axis=0) for own in member], axis=0)
    estimate = estimates.mean(1)
    if len(names) >= TASKS_RESAMPLED:
        inner = inner + _student(estimates - estimate[:, None], generator("tasks", tuple(names)), size)
    return Draws(estimate, inner, min(b.seeds for b in blocks), min(b.groups for b in blocks))


TASKS_RESAMPLED = 3


def corrected(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995), in the given order.
    Holm's correction needs p-values that three seeds cannot give for a dozen variants; 90 % would tie with 40 %."""
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(p_values)] if len(p_values) else []


def compare(draws: Draws, labels: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[Comparison, ...]:
    """Return the comparisons of one family: ``pairs`` of columns, whose p-values are corrected together."""
    found = [_interval(*draws.difference(first, second)) for first, second in pairs]
    adjusted = corrected([p_value for *_, p_value in found])
    return tuple(
        Comparison(labels[a], labels[b], *values, p_value, p_value < LEVEL, draws.seeds, draws.groups)
        for (a, b), values, p_value in zip(pairs, found, adjusted, strict=True)
    )


def _interval(estimate: float, values: Floats) -> tuple[float, float, float, float]:
    """Return the estimate, the bounds of the 95 % percentile interval, and the two-sided p-value of no difference."""
    low, high = np.percentile(values, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    rarer = min(int((values <= 0).sum()), int((values >= 0).sum()))
    return estimate, float(low), float(high), min(1.0, 2 * (1 + rarer) / (len(values) + 1))


def pairs_to_compare(draws: Draws, labels: Sequence[str]) -> list[tuple[int, int]]:
    """Return the columns of every pair, the better one first; with many variants only the pairs with the best one."""
    order = sorted(range(len(labels)), key=lambda column: (-draws.estimate[column], labels[column]))
    if len(order) > ALL_PAIRS_UP_TO:
        return [(order[0], other) for other in order[1:]]
    return list(combinations(order, 2))


def ranks(labels: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, int]:
    """Return 1 + the number of significantly better variants by label; ``comparisons`` name the better one first."""
    behind = dict.fromkeys(labels, 1)
    for comparison in comparisons:
        behind[comparison.second] += comparison.different
    return behind


def tied(found: Mapping[str, int]) -> Iterator[str]:
    """Return the labels that share their rank with another label."""
    values = list(found.values())
    return (label for label, rank in found.items() if values.count(rank) > 1)
