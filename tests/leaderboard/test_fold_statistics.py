"""Statistics over folds: cases computed by hand, and how often the corrected interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sfda_kit.leaderboard.fold_statistics import (
    FoldCounts,
    compare_folds,
    corrected_t,
    draw_folds,
    holm,
    smallest_seen,
)


def test_the_corrected_test_by_hand():
    """Differences 2, 4, 6, 8: mean 5, variance 20/3; with four folds the factor is 1/4 + 1/3 = 7/12."""
    found = corrected_t(np.array([2.0, 4.0, 6.0, 8.0]), folds=4)
    error = np.sqrt(7 / 12 * 20 / 3)
    assert (found.mean, found.freedom) == (5.0, 3) and found.error == pytest.approx(error)
    assert found.low == pytest.approx(5 - 3.182446 * error) and found.high == pytest.approx(5 + 3.182446 * error)
    assert found.p_value == pytest.approx(2 * stats.t.sf(5 / error, 3))
    true = found.detectable() / error
    power = stats.nct.sf(3.182446, 3, true) + stats.nct.cdf(-3.182446, 3, true)
    assert power == pytest.approx(0.8, abs=1e-3)


def test_repetitions_leave_the_share_of_the_overlap():
    """Twice the folds of two repetitions: 1/8 + 1/3, and not 1/8 + 1/7."""
    found = corrected_t(np.array([2.0, 4.0, 6.0, 8.0] * 2), folds=4)
    assert found.error == pytest.approx(np.sqrt((1 / 8 + 1 / 3) * 40 / 7)) and found.freedom == 7


def test_without_the_correction_the_error_is_that_of_a_plain_t_test():
    differences = np.array([1.0, 2.0, 4.0, 4.5])
    found = corrected_t(differences, folds=10**9)
    assert found.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=1e-6)


def test_equal_variants_are_not_different_and_a_constant_difference_is_certain():
    assert corrected_t(np.zeros(4), 4).p_value == 1.0
    assert corrected_t(np.full(4, 3.0), 4).p_value == 0.0


def test_holm_by_hand():
    """0.01 x 4, then 0.02 x 3 = 0.06, then 0.03 x 2 = 0.06, and 0.6 x 1."""
    assert holm([0.03, 0.01, 0.6, 0.02]) == pytest.approx([0.06, 0.04, 0.6, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def counts(shares: np.ndarray, images: int, rng: np.random.Generator | None = None) -> list[FoldCounts]:
    """Counts of V variants and one seed from shares of right answers (V, J, G), rounded or drawn."""
    right = np.round(shares * images) if rng is None else rng.binomial(images, shares.clip(0, 1))
    total = np.full((shares.shape[2], 1), images, np.int32)
    by_fold = np.moveaxis(right, 1, 0)[..., None].astype(np.int32)  # (J, V, G, 1)
    return [FoldCounts([[one] for one in own], total, f"fold {number}") for number, own in enumerate(by_fold)]


def test_variants_are_paired_by_fold():
    """Folds differ by 40 points and the variants always by 5: only pairing shows it."""
    hard = np.array([0.3, 0.5, 0.6, 0.7])[:, None] + np.zeros((4, 6))
    found = draw_folds(
        counts(np.stack([hard + 0.05 + np.array([[0.01], [-0.01], [0.01], [-0.01]]), hard]), 100), [0], 4, 1000
    )
    (one,) = compare_folds(found, ["a", "b"], [(0, 1)])
    assert one.difference == pytest.approx(5.0) and one.different and one.folds == 4 and one.groups == 24
    assert one.resampled is not None and one.low < one.resampled[0] <= one.resampled[1] < one.high
    assert one.seen is not None and one.seen < 5.0


def test_equal_predictions_differ_by_exactly_nothing():
    same = np.random.default_rng(0).random((1, 4, 5)).repeat(2, axis=0)
    (one,) = compare_folds(draw_folds(counts(same, 20), [0], 4, 1000), ["a", "b"], [(0, 1)])
    assert (one.difference, one.low, one.high, one.resampled, one.p_value) == (0.0, 0.0, 0.0, (0.0, 0.0), 1.0)


def test_comparisons_of_a_family_are_corrected_together_and_ask_for_larger_differences():
    rng = np.random.default_rng(1)
    shares = np.clip(0.5 + rng.normal(0, 0.05, (4, 4, 12)), 0, 1)
    found = draw_folds(counts(shares, 50), [0], 4, 1000)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    together, alone = compare_folds(found, "abcd", pairs), [compare_folds(found, "abcd", [pair])[0] for pair in pairs]
    assert [one.adjusted for one in together] == pytest.approx(holm([one.p_value for one in alone]))
    single, strict = smallest_seen(found, pairs)
    assert single < strict
    # at the level of Holm's first step the test has 80 % power for the larger difference: counted in simulated tests
    rng, error = np.random.default_rng(0), single / corrected_t(np.arange(4.0), 4).detectable()
    error *= corrected_t(np.arange(4.0), 4).error
    spread = np.sqrt(rng.chisquare(3, 40_000) / 3)
    passed = (rng.normal(strict / error, 1, 40_000) / spread > stats.t.ppf(1 - 0.05 / 12, 3)).mean()
    assert passed == pytest.approx(0.8, abs=0.01)


def simulated(trials: int, difference: float = 0.0) -> tuple[float, float, float]:
    """How often the corrected interval, the plain one and the bootstrap hold the true difference of two variants.

    Each fold's difference varies by its held-out groups and by its training set. Two training sets of four folds share
    half of all groups, so the latter are drawn with a correlation of 1/2.
    """
    rng = np.random.default_rng(0)
    hits = np.zeros(3)
    for _ in range(trials):
        common, own = rng.normal(0, 0.02 * np.sqrt(0.5), 2), rng.normal(0, 0.02 * np.sqrt(0.5), (2, 4))
        hard = rng.normal(0, 0.1, (4, 15))
        shares = 0.5 + hard + (common[:, None] + own)[..., None] + rng.normal(0, 0.05, (2, 4, 15))
        shares[0] += difference
        found = draw_folds(counts(shares, 20, rng), [0], 4, 1000)
        (one,) = compare_folds(found, "ab", [(0, 1)])
        plain = stats.ttest_rel(*found.by_fold).confidence_interval(0.95)
        assert one.resampled is not None
        bounds = [(one.low, one.high), (plain.low, plain.high), one.resampled]
        hits += [low <= 100 * difference <= high for low, high in bounds]
    corrected, plain_, resampled = hits / trials
    return corrected, plain_, resampled


def test_the_corrected_interval_covers_and_the_plain_one_does_not_cover_enough():
    corrected, plain, _ = simulated(250)
    assert corrected >= 0.95 > plain + 0.01


def test_a_difference_as_large_as_the_smallest_seen_is_found_about_as_often_as_promised():
    """With independent folds of known spread the test has the power that is promised."""
    rng = np.random.default_rng(0)
    promised = corrected_t(np.array([1.0, -1.0, 1.0, -1.0]) * np.sqrt(0.75), 4)  # variance 1
    noise = rng.normal(size=(4000, 4))
    level = np.sqrt((1 / 4 + 1 / 3) / (1 / 4))  # folds as correlated as the correction says have this larger error
    means = noise.mean(axis=1) * level + promised.detectable()
    errors = np.sqrt((1 / 4 + 1 / 3) * noise.var(axis=1, ddof=1))
    power = (means / errors > stats.t.ppf(0.975, 3)).mean()
    assert power == pytest.approx(0.8, abs=0.02)
