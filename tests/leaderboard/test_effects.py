"""Main effects: numbers worked out by hand, ties, missing cells, and images that differ between levels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sfda_kit.leaderboard.effects import Effect, draw_cells, main_effects, matched
from sfda_kit.leaderboard.scores import PredictionReader, Scored
from sfda_kit.leaderboard.statistics import RESAMPLES

from .made_runs import CLASSES, GROUPS, IMAGES, right, write_run

FACTORS = {"A": ("a0", "a1"), "B": ("b0", "b1")}
GRID = [{"A": a, "B": b} for a in FACTORS["A"] for b in FACTORS["B"]]


def first(count: int) -> np.ndarray:
    return np.arange(IMAGES) < count


def scored(root: Path, correct: np.ndarray, seed: int = 0, **changes: object) -> Scored:
    folder = write_run(root, seed=seed, correct=correct, **changes)  # type: ignore[arg-type]
    found = PredictionReader("heldout_accuracy").read(folder, CLASSES)
    assert found is not None
    return found


def effects(cells: list[list[Scored]], there: list[dict[str, str]] = GRID) -> Mapping[str, Effect]:
    draws = draw_cells(cells, range(len(cells[0])), RESAMPLES)
    return {found.factor: found for found in main_effects(draws, there, GRID, FACTORS)}


def test_a_main_effect_is_the_mean_difference_over_the_other_factor(tmp_path: Path):
    cells = [[scored(tmp_path, first(count))] for count in (30, 36, 42, 54)]  # 50, 60, 70, 90 %
    found = effects(cells)
    assert found["A"].comparison.difference == pytest.approx(((70 - 50) + (90 - 60)) / 2)
    assert found["B"].comparison.difference == pytest.approx(((60 - 50) + (90 - 70)) / 2)
    assert (found["A"].level, found["A"].baseline, found["A"].averaged, found["A"].planned) == ("a1", "a0", 2, 2)
    for effect in found.values():
        assert effect.comparison.low <= effect.comparison.difference <= effect.comparison.high
        assert effect.comparison.different


def test_seeds_are_averaged_and_widen_the_interval(tmp_path: Path):
    one = [[scored(tmp_path, first(count))] for count in (30, 30, 42, 42)]
    spread = [[*row, scored(tmp_path, first(36), seed=1)] for row in one]  # the effect is 20 with seed 0, 0 with seed 1
    alone, both = effects(one)["A"].comparison, effects(spread)["A"].comparison
    assert both.difference == pytest.approx(10)
    assert both.high - both.low > alone.high - alone.low
    assert alone.different and not both.different


def test_equal_predictions_are_an_exact_tie(tmp_path: Path):
    cells = [[scored(tmp_path, right(share, 3), seed) for seed in range(2)] for share in (0.5, 0.7, 0.5, 0.7)]
    tie = effects(cells)["A"].comparison
    assert (tie.difference, tie.low, tie.high, tie.adjusted, tie.different) == (0.0, 0.0, 0.0, 1.0, False)


def test_a_missing_cell_takes_its_pair_out_of_the_mean(tmp_path: Path):
    cells = [[scored(tmp_path, first(count))] for count in (30, 36, 42)]  # (a1, b1) is missing
    found = effects(cells, GRID[:3])
    assert found["A"].comparison.difference == pytest.approx(70 - 50)
    assert found["B"].comparison.difference == pytest.approx(60 - 50)
    assert (found["A"].averaged, found["A"].planned) == (1, 2)


def test_without_a_pair_nothing_is_said(tmp_path: Path):
    cells = [[scored(tmp_path, first(30))], [scored(tmp_path, first(54))]]
    assert effects(cells, [GRID[0], GRID[3]]) == {}


def test_correction_is_over_all_effects(tmp_path: Path):
    rng = np.random.default_rng(0)
    cells = [[scored(tmp_path, rng.random(IMAGES) < 0.5)] for _ in GRID]
    for found in effects(cells).values():
        assert found.comparison.adjusted >= found.comparison.p_value
    smallest, largest = sorted((effect.comparison for effect in effects(cells).values()), key=lambda c: c.p_value)
    assert smallest.adjusted == pytest.approx(min(2 * smallest.p_value, largest.p_value))


def test_other_images_are_drawn_by_themselves(tmp_path: Path):
    """The same score on the same images never differs; on other images (another grouping) chance may."""
    correct, other = first(30), np.arange(IMAGES) // 3
    same = [[scored(tmp_path, correct)] for _ in GRID]
    apart = [*same[:2], *([scored(tmp_path, correct, groups=other)] for _ in range(2))]
    assert effects(same)["A"].comparison.high == 0
    found = effects(apart)["A"].comparison
    assert found.difference == 0 and found.low < 0 < found.high
    assert effects(apart)["B"].comparison.high == 0
    assert found.groups == GROUPS


def test_draws_of_seeds_are_shared_by_cells_on_other_images(tmp_path: Path):
    """All images are one group, so only seeds are drawn: equal deviations cancel, whatever the images."""
    whole, counts = np.zeros(IMAGES, int), (24, 36)
    low = [scored(tmp_path, first(count), seed, groups=whole) for seed, count in enumerate(counts)]
    names = whole + 1
    high = [scored(tmp_path, first(count + 12), seed, groups=names) for seed, count in enumerate(counts)]
    assert low[0].images.key != high[0].images.key
    found = effects([low, low, high, high])["A"].comparison
    assert (found.low, found.high) == (pytest.approx(20), pytest.approx(20))


def test_matched_pairs_differ_in_one_factor_alone():
    assert matched(GRID, "A", "a1", "a0") == [(2, 0), (3, 1)]
    assert matched(GRID, "B", "b1", "b0") == [(1, 0), (3, 2)]
    assert matched(GRID[1:], "A", "a1", "a0") == [(2, 0)]
