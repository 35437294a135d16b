"""Friedman's and Nemenyi's tests over blocks, and the critical difference of mean ranks (Demsar 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sfda_kit.leaderboard.board import RankTests
from sfda_kit.leaderboard.statistics import LEVEL

LEAST_BLOCKS = 6
"""With five blocks no outcome can be significant: the signed-rank test of two variants that never change places gives
p = 2 / 2**5 = 0.0625. With six blocks it gives 0.031."""

LEAST_VARIANTS = 3
"""For two variants Friedman's test is a sign test, which says less than their paired comparison."""


def rank_tests(means: NDArray[np.float64], labels: Sequence[str]) -> tuple[RankTests | None, str]:
    """Run the tests on ``means`` (blocks, variants), where higher is better; return None and the reason if impossible.
    Variants that are equal in a block share the mean of their ranks."""
    blocks, variants = means.shape
    if blocks < LEAST_BLOCKS or variants < LEAST_VARIANTS:
        return None, (
            f"Rank tests (Friedman, Nemenyi) need at least {LEAST_BLOCKS} tables in which the same "
            f"{LEAST_VARIANTS} variants rank; here {variants} variants share {blocks} tables."
        )
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    mean_ranks = rankdata(-means, axis=1).mean(0)
    if np.ptp(means, axis=1).max() == 0:
        return None, "Rank tests say nothing here: all variants are equal in every table."
    statistic, p_value = friedmanchisquare(*means.T)
    quantile = float(studentized_range.ppf(1 - LEVEL, variants, np.inf)) / np.sqrt(2)
    order = sorted(range(variants), key=lambda column: (mean_ranks[column], labels[column]))
    return (
        RankTests(
            blocks=blocks,
            mean_ranks={labels[column]: float(mean_ranks[column]) for column in order},
            statistic=float(statistic),
            p_value=float(p_value),
            critical_difference=float(quantile * np.sqrt(variants * (variants + 1) / (6 * blocks))),
            nemenyi=_nemenyi(means, labels, order),
        ),
        "",
    )


def _nemenyi(means: NDArray[np.float64], labels: Sequence[str], order: Sequence[int]) -> dict[tuple[str, str], float]:
    import scikit_posthocs

    found = np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(means))
    return {(labels[a], labels[b]): float(found[a, b]) for a, b in combinations(order, 2)}
