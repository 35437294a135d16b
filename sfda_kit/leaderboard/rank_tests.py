"""Friedman's and Nemenyi's tests over blocks, and the critical-difference diagram (Demsar 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sfda_kit.leaderboard.board import RankTests
from sfda_kit.leaderboard.statistics import LEVEL

LEAST_BLOCKS = 6
"""With five blocks even the signed-rank test of two variants that never change places gives p = 2 / 2**5 =
0.0625: no outcome could be significant. With six it is 0.031."""

LEAST_VARIANTS = 3
"""Friedman's test of two variants is a sign test; their paired comparison says more."""


def rank_tests(means: NDArray[np.float64], labels: Sequence[str]) -> tuple[RankTests | None, str]:
    """Tests on ``means`` (blocks, variants), higher is better; None and a sentence where there are too few.

    A variant that is equal to another in a block shares the mean of their ranks with it.
    """
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
