"""The paired bootstrap: cases computed by hand, laws that hold for any counts, and whether it covers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sfda_kit.leaderboard import statistics
from sfda_kit.leaderboard.overall import complete_blocks
from sfda_kit.leaderboard.rank_tests import rank_tests
from sfda_kit.leaderboard.scores import percent
from sfda_kit.leaderboard.statistics import (
    compare,
    corrected,
    draw,
    over_tasks,
    pairs_to_compare,
    ranks,
    resamples_for,
    tied,
)


def counts(*variants: list[list[int]]) -> np.ndarray:
    """Correct images (V, S, G, 1) from lists by variant, seed and group."""
    return np.array(variants)[..., None]


def drawn(correct: np.ndarray, size: int | list[int] = 10, resamples: int = 4000, images: str = "images"):
    groups, classes = correct.shape[2:]
    total = np.broadcast_to(np.reshape(size, (-1, 1)), (groups, classes)).astype(np.int32)
    return draw(correct, total, images, range(correct.shape[1]), resamples)


def test_the_estimate_is_the_mean_over_seeds_of_the_score():
    correct = counts([[10, 0], [5, 5]], [[4, 2], [4, 4]])
    assert drawn(correct).estimate.tolist() == [50.0, 35.0]


def test_the_mean_over_classes_leaves_out_classes_without_images():
    assert percent(np.array([3, 0, 5]), np.array([6, 0, 5])) == pytest.approx(75.0)


def test_one_seed_and_two_groups_by_hand():
    """G - 1 = 1 of two groups is drawn: the difference is that of the one or of the other."""
    found = drawn(counts([[10, 6]], [[5, 5]]))
    _, values = found.difference(0, 1)
    assert set(values.tolist()) == {50.0, 10.0}
    assert abs((values == 50.0).mean() - 0.5) < 0.05
    (comparison,) = compare(found, ["a", "b"], [(0, 1)])
    assert (comparison.difference, comparison.low, comparison.high) == (30.0, 10.0, 50.0)
    assert comparison.different and comparison.p_value == pytest.approx(2 / 4001)


def test_groups_of_different_size_count_by_their_images():
    found = drawn(counts([[9, 0]], [[0, 0]]), size=[9, 1])
    assert found.estimate.tolist() == [90.0, 0.0]


def test_seeds_alone_give_students_interval():
    """One group of images: nothing but the seeds varies, and the interval is that of the paired t-test."""
    a, b = np.array([900, 940, 980, 950]), np.array([880, 900, 990, 905])
    found = drawn(counts(a[:, None].tolist(), b[:, None].tolist()), size=1000, resamples=60_000)
    (comparison,) = compare(found, ["a", "b"], [(0, 1)])
    expected = stats.ttest_rel(a / 10, b / 10)
    low, high = expected.confidence_interval(0.95)
    assert (comparison.low, comparison.high) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))
    assert comparison.p_value == pytest.approx(expected.pvalue, abs=0.01)


def test_three_seeds_that_agree_in_sign_are_not_yet_a_difference():
    """By chance alone three seeds agree one time in four; plain resampling would call this certain."""
    found = drawn(counts([[510], [530], [590]], [[500], [500], [500]]), size=1000)
    (comparison,) = compare(found, ["a", "b"], [(0, 1)])
    assert comparison.low < 0 < comparison.high and not comparison.different


@given(st.lists(st.lists(st.integers(0, 10), min_size=4, max_size=4), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_equal_predictions_differ_by_exactly_nothing(seeds: list[list[int]]):
    (comparison,) = compare(drawn(counts(seeds, seeds), resamples=1000), ["a", "b"], [(0, 1)])
    assert (comparison.difference, comparison.low, comparison.high) == (0.0, 0.0, 0.0)
    assert comparison.p_value == 1.0 and not comparison.different


@given(st.lists(st.lists(st.integers(0, 10), min_size=5, max_size=5), min_size=2, max_size=2), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_swapping_variants_turns_the_interval_round(pair: list[list[int]], others: int):
    one, two = ([row] * 2 for row in pair)
    extra = [[[number % 11] * 5] * 2 for number in range(others)]
    there = compare(drawn(counts(one, two), resamples=1000), "ab", [(0, 1)])[0]
    back = compare(drawn(counts(two, one, *extra), resamples=1000), "ba" + "c" * others, [(0, 1)])[0]
    assert back.low == pytest.approx(-there.high) and back.high == pytest.approx(-there.low)
    assert back.p_value == there.p_value


def test_the_same_content_gives_the_same_draws_and_other_images_give_others():
    correct = counts([[3, 8, 5], [4, 7, 6]])
    first, again, other = drawn(correct), drawn(correct), drawn(correct, images="others")
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_more_draws_continue_fewer():
    """So tables on the same images or seeds share draws though one of them needs more."""
    correct = counts([[3, 8, 5], [4, 4, 9]])
    assert np.array_equal(drawn(correct, resamples=2000).values[:1000], drawn(correct, resamples=1000).values)


def covered(seeds: int, groups: int, seed_spread: float, trials: int = 200) -> float:
    """How often the interval holds the true difference, 0, of two variants that vary by seed and by group."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(trials):
        shares = 0.5 + rng.normal(0, seed_spread, (2, seeds, 1)) + rng.normal(0, 0.15, (2, 1, groups))
        correct = rng.binomial(20, shares.clip(0, 1))[..., None]
        found = draw(correct, np.full((groups, 1), 20, np.int32), "images", range(seeds), 1000)
        (comparison,) = compare(found, "ab", [(0, 1)])
        hits += comparison.low <= 0 <= comparison.high
    return hits / trials


@pytest.mark.parametrize(("seeds", "groups", "spread"), [(1, 60, 0.0), (3, 60, 0.05), (5, 60, 0.05), (3, 150, 0.05)])
def test_intervals_cover_about_as_often_as_they_say(seeds: int, groups: int, spread: float):
    assert covered(seeds, groups, spread) >= 0.90


def test_one_seed_does_not_cover_other_seeds():
    """Why the board says that one seed speaks of other images only."""
    assert covered(1, 60, 0.05, trials=100) < 0.8


def test_the_correction_by_hand():
    assert corrected([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert corrected([0.5, 0.9]) == pytest.approx([0.9, 0.9])
    assert corrected([]) == []


def test_there_are_draws_enough_for_the_smallest_threshold():
    for variants in (2, 10, 40):
        pairs = variants * (variants - 1) // 2
        assert 2 / (resamples_for(pairs) + 1) < statistics.LEVEL / pairs


def test_ranks_count_who_is_significantly_better():
    correct = counts([[100] * 20], [[99] * 19 + [100]], [[40] * 20])
    labels = ["first", "second", "last"]
    found = drawn(correct, size=100)
    comparisons = compare(found, labels, pairs_to_compare(found, labels))
    assert ranks(labels, comparisons) == {"first": 1, "second": 2, "last": 3}


def test_equal_variants_share_a_rank_and_the_next_one_follows_behind_both():
    correct = counts([[90] * 20], [[90] * 20], [[40] * 20])
    found = drawn(correct, size=100)
    ranked = ranks("abc", compare(found, "abc", pairs_to_compare(found, "abc")))
    assert ranked == {"a": 1, "b": 1, "c": 3}
    assert list(tied(ranked)) == ["a", "b"]


def test_with_many_variants_each_is_compared_with_the_best_only(monkeypatch: pytest.MonkeyPatch):
    found = drawn(counts([[1]], [[3]], [[2]]))
    assert pairs_to_compare(found, "abc") == [(1, 2), (1, 0), (2, 0)]
    monkeypatch.setattr(statistics, "ALL_PAIRS_UP_TO", 2)
    assert pairs_to_compare(found, "abc") == [(1, 2), (1, 0)]


def test_two_tasks_stand_for_themselves_and_three_for_others_too():
    blocks = [drawn(counts([[100 + shift]], [[100]]), size=1000, images=str(shift)) for shift in (10, 50, 90)]
    (two,) = compare(over_tasks(blocks[:2], "ab"), "xy", [(0, 1)])
    assert (two.difference, two.low, two.high) == (pytest.approx(3.0), pytest.approx(3.0), pytest.approx(3.0))
    (three,) = compare(over_tasks(blocks, "abc"), "xy", [(0, 1)])
    expected = stats.ttest_1samp([1.0, 5.0, 9.0], 0).confidence_interval(0.95)
    assert three.difference == pytest.approx(5.0)
    assert (three.low, three.high) == (pytest.approx(expected.low, abs=1.5), pytest.approx(expected.high, abs=1.5))


def test_networks_of_one_task_are_averaged_before_tasks_are():
    blocks = [drawn(counts([[value]], [[0]]), size=100) for value in (10, 30, 80)]
    assert over_tasks(blocks, ["a", "a", "b"]).estimate.tolist() == [50.0, 0.0]


def test_complete_blocks_keep_as_many_results_as_can_be_had():
    ranked = {"t1": ["a", "b", "c"], "t2": ["a", "b"], "t3": ["a", "b", "c"], "t4": ["a"]}
    assert complete_blocks(ranked) == (["a", "b"], ["t1", "t2", "t3"])
    assert complete_blocks({"t1": ["a"], "t2": ["b"]}) == ([], [])


def test_rank_tests_by_hand():
    """Six blocks, always a > b > c: mean ranks 1, 2, 3 and Friedman's statistic 12 (its maximum, N (k - 1))."""
    means = np.array([[3.0, 2.0, 1.0]] * 6) + np.arange(6)[:, None]
    found, note = rank_tests(means, "abc")
    assert found is not None and note == ""
    assert found.mean_ranks == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert found.statistic == pytest.approx(12.0) and found.p_value == pytest.approx(np.exp(-6.0))
    assert found.critical_difference == pytest.approx(2.343 * np.sqrt(12 / 36), abs=1e-3)  # q of Demsar's table 5
    assert list(found.nemenyi) == list(combinations("abc", 2))
    assert found.nemenyi["a", "c"] < 0.05 < found.nemenyi["a", "b"]


@pytest.mark.parametrize("shape", [(5, 3), (6, 2)])
def test_too_few_blocks_or_variants_are_said_instead_of_tested(shape: tuple[int, int]):
    found, note = rank_tests(np.random.default_rng(0).random(shape), "abcdef")
    assert found is None
    assert note == (
        "Rank tests (Friedman, Nemenyi) need at least 6 tables in which the same 3 variants rank; "
        f"here {shape[1]} variants share {shape[0]} tables."
    )


def test_rank_tests_of_equal_variants_say_nothing():
    assert rank_tests(np.ones((6, 3)), "abc") == (
        None,
        "Rank tests say nothing here: all variants are equal in every table.",
    )
