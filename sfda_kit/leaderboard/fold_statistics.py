"""Comparison of variants over folds: the corrected t-test, Holm's correction, and a hierarchical bootstrap beside it.

A difference of two variants has one value for each fold: the mean over seeds of scores on the same held-out groups,
from the same source models. Folds share most of their training groups, so these values are not independent, and their
plain standard error is too small. Nadeau and Bengio (2003, Inference for the Generalization Error, Machine Learning
52) correct it: with J values of sample variance v, and test share over training share r,

    standard error = sqrt((1 / J + r) v),   t = mean / standard error,   J - 1 degrees of freedom.

With K folds in a repetition r = 1 / (K - 1), because a K-th of the groups is held out. More repetitions make 1 / J
and the quantile smaller, and leave r as it is.

The **smallest difference that a table could have seen** at power P and level a is the one that this two-sided test
finds with probability P: so many standard errors that the noncentral t-distribution with J - 1 degrees of freedom has
the share P beyond the quantiles of level a.

The **hierarchical bootstrap** draws folds (J - 1 of J with replacement), and in each drawn fold groups of images
(G - 1 of G, ``statistics.py``). It knows nothing of the overlap of training groups, so it stands beside the corrected
interval and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from sfda_kit.leaderboard.board import Comparison
from sfda_kit.leaderboard.scores import Counts, percent
from sfda_kit.leaderboard.statistics import LEVEL, Draws, Floats, generator, resampled_groups

POWER = 0.8
SLICES = 4096
"""Equally likely values of an estimated standard error that a power is averaged over."""


@dataclass(frozen=True)
class FoldCounts:
    """The counts of one fold: ``correct`` (G, K) by variant and seed, ``total`` (G, K); ``images`` identifies them."""

    correct: Sequence[Sequence[Counts]]
    total: Counts
    images: str


@dataclass(frozen=True)
class FoldDraws:
    """Scores of V variants in percent: ``by_fold`` (V, J), and the draws of the hierarchical bootstrap.

    ``folds``: the number K of folds in a repetition, which may be smaller than J.
    """

    by_fold: Floats
    draws: Draws
    folds: int


@dataclass(frozen=True)
class FoldTest:
    """A corrected t-test: mean difference, its standard error and 95 % interval, degrees of freedom, two-sided p."""

    mean: float
    error: float
    low: float
    high: float
    freedom: int
    p_value: float

    def detectable(self, level: float = LEVEL, power: float = POWER) -> float:
        """Return the smallest true difference that a test at ``level`` finds with probability ``power``."""
        return _noncentrality(self.freedom, level, power) * self.error


@cache
def _noncentrality(freedom: int, level: float, power: float) -> float:
    """Return the true difference in standard errors that the test finds with probability ``power``.

    scipy's noncentral t is not accurate at levels as strict as Holm's, so the power is a mean over the distribution of
    the estimated standard error, which makes a normal one of it.
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm, t

    bound = t.ppf(1 - level / 2, freedom)
    errors = np.sqrt(chi2.ppf((np.arange(SLICES) + 0.5) / SLICES, freedom) / freedom)

    def lacking(true: float) -> float:
        found = norm.sf(bound * errors - true) + norm.cdf(-bound * errors - true)
        return float(found.mean()) - power

    return float(brentq(lacking, 0.0, 4 * bound + 10))


def corrected_t(differences: Floats, folds: int) -> FoldTest:
    """Return the test of ``differences`` (J,), one for each fold; J is at least 2, ``folds`` those of a repetition.

    Differences that are all equal have no spread: p is 1 where they are 0, else 0.
    """
    from scipy.stats import t

    count = len(differences)
    mean = float(differences.mean())
    error = float(np.sqrt((1 / count + 1 / (folds - 1)) * differences.var(ddof=1)))
    reach = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    p_value = float(2 * t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    return FoldTest(mean, error, mean - reach, mean + reach, count - 1, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for the number of tests (Holm 1979), in the given order.

    The chance that any true null hypothesis of the family is rejected is then at most the level.
    """
    adjusted, reached = [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[number]))
        adjusted[number] = reached
    return adjusted


def draw_folds(counts: Sequence[FoldCounts], seeds: Sequence[int], folds: int, size: int) -> FoldDraws:
    """Return the scores of variants by fold and joint draws of the hierarchical bootstrap."""
    by_fold, inner = [], []
    for one in counts:
        stacked = np.asarray(one.correct, dtype=np.float64)  # (V, S, G, K)
        by_fold.append(percent(stacked.sum(2), one.total.sum(0)).mean(1))
        rng = generator("images", one.images, one.total.shape[0])
        inner.append(resampled_groups(stacked.sum(1), one.total, len(seeds), rng, size))
    scores = np.stack(by_fold, axis=1)
    values = _over_folds(inner, generator("folds", tuple(one.images for one in counts)), size)
    groups = sum(one.total.shape[0] for one in counts) * folds // max(folds, len(counts))
    return FoldDraws(scores, Draws(scores.mean(1), values, len(seeds), groups), folds)


def _over_folds(inner: Sequence[Floats], rng: np.random.Generator, size: int) -> Floats:
    """Return draws (size, V) of the mean over J - 1 folds. A fold that is drawn twice has other groups each time."""
    count = len(inner)
    drawn = rng.integers(0, count, (size, count - 1))
    values = np.zeros_like(inner[0])
    for slot in range(count - 1):
        shifted = np.roll(np.arange(size), slot * (size // count))
        for fold, own in enumerate(inner):
            rows = drawn[:, slot] == fold
            values[rows] += own[shifted[rows]]
    return values / (count - 1)


def compare_folds(found: FoldDraws, labels: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[Comparison, ...]:
    """Return the comparisons of one family: ``pairs`` of variants, whose p-values are corrected together (Holm)."""
    tests = [corrected_t(found.by_fold[first] - found.by_fold[second], found.folds) for first, second in pairs]
    compared = []
    for (first, second), test in zip(pairs, tests, strict=True):
        _, values = found.draws.difference(first, second)
        low, high = np.percentile(values, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
        plain = Comparison(
            labels[first],
            labels[second],
            test.mean,
            test.low,
            test.high,
            test.p_value,
            test.p_value,
            test.p_value < LEVEL,
            found.draws.seeds,
            found.draws.groups,
        )
        seen = test.detectable()
        compared.append(replace(plain, folds=found.by_fold.shape[1], resampled=(float(low), float(high)), seen=seen))
    return corrected_together(compared)


def corrected_together(family: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return the comparisons of one family with p-values that are corrected for their number (Holm)."""
    adjusted = holm([one.p_value for one in family])
    return tuple(replace(one, adjusted=p, different=p < LEVEL) for one, p in zip(family, adjusted, strict=True))


def smallest_seen(found: FoldDraws, pairs: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the medians over ``pairs`` of the smallest difference that could have been seen: for a single comparison,
    and at the strictest level of Holm's correction, which the first of all ``pairs`` must pass."""
    tests = [corrected_t(found.by_fold[first] - found.by_fold[second], found.folds) for first, second in pairs]
    levels = (LEVEL, LEVEL / len(pairs))
    one, all_ = (float(np.median([test.detectable(level) for test in tests])) for level in levels)
    return one, all_
