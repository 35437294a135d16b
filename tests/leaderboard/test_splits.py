"""Boards of runs whose split follows their seed: one table, in which a seed and its split are one unit."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.scores import ScoredImages
from sfda_kit.leaderboard.statistics import draw_scored

from .made_runs import board, only_table, right, row, write_run


def on_its_split(root: Path, method: str, seed: int, share: float, **changes: Any) -> Path:
    """A run on the split of its seed, which has images and a data revision of its own."""
    images = 40 + 4 * seed
    task = {"split_seed": seed, "fingerprint": f"{seed:016x}"}
    correct = right(share, seed, images)
    return write_run(root, method, seed, correct, groups=np.arange(images) % (10 + seed), **{"task": task, **changes})


def test_splits_that_follow_the_seed_are_one_table_without_marks(tmp_path: Path):
    for seed in (0, 1, 2):
        on_its_split(tmp_path, "shot", seed, 0.5)
        on_its_split(tmp_path, "socket", seed, 0.75)
    table = only_table(tmp_path)
    assert table.seeds == (0, 1, 2) and table.task.follows and table.task.split == "each seed has a split of its own"
    assert [(found.label, found.rank, found.marks) for found in table.ranked] == [("socket", 1, ()), ("shot", 2, ())]
    assert row(table, "socket").metrics["heldout_accuracy"].mean == pytest.approx(75.0)
    assert table.groups == 10 and any("splits share images" in notice for notice in table.notices)


def test_other_data_on_one_of_the_splits_are_marked(tmp_path: Path):
    for seed in (0, 1):
        for method in ("shot", "socket", "nrc"):
            on_its_split(tmp_path, method, seed, 0.5)
        on_its_split(tmp_path, "aad", seed, 0.5, task={"split_seed": seed, "fingerprint": "e" * 16})
    marks = [mark.kind for found in only_table(tmp_path).rows if found.label == "aad" for mark in found.marks]
    assert marks and set(marks) <= {"data", "seeds"}


def test_a_split_that_several_seeds_share_keeps_its_table(tmp_path: Path):
    for seed in (0, 1):
        write_run(tmp_path, "shot", seed)
    on_its_split(tmp_path, "shot", 3, 0.5)
    assert [(table.task.follows, table.seeds) for table in board(tmp_path).tables] == [(False, (0, 1)), (False, (3,))]


def test_seed_and_split_are_resampled_together():
    """Draws of the difference have the standard error of a mean over seeds, whatever the images of each seed are."""
    rng = np.random.default_rng(0)
    images = [ScoredImages(str(seed), np.arange(0), np.arange(0), np.full((5 + seed, 1), 4)) for seed in range(4)]
    correct = [[rng.integers(0, 5, one.total.shape).astype(np.int32) for one in images] for _ in range(2)]
    draws = draw_scored(correct, images, (0, 1, 2, 3), 4000)
    rows = [zip(own, images, strict=True) for own in correct]
    by_seed = np.array([[100 * counts.sum() / one.total.sum() for counts, one in own] for own in rows])
    estimate, values = draws.difference(0, 1)
    differences = by_seed[0] - by_seed[1]
    assert estimate == pytest.approx(differences.mean())
    error = differences.std(ddof=1) / 2
    low, high = np.percentile(values - estimate, [25, 75])
    assert (high - low) / 2 == pytest.approx(0.7649 * error, rel=0.08)  # the quartile of Student's t, 3 degrees
    assert draws.groups == 5


def test_another_precision_is_another_row_and_old_records_without_one_are_not(tmp_path: Path):
    write_run(tmp_path, "shot", 0)
    write_run(tmp_path, "shot", 1, config={"compute": {"precision": "fp32"}})
    assert [found.label for found in only_table(tmp_path).ranked] == ["shot"]
    write_run(tmp_path, "shot", 0, config={"compute": {"precision": "bf16"}})
    labels = {found.label for found in only_table(tmp_path).rows if found.kind == "method"}
    assert "shot (compute.precision=bf16)" in labels and len(labels) > 1


def test_named_weights_are_another_table(tmp_path: Path):
    write_run(tmp_path)
    write_run(tmp_path, source={"model": {"backbone_weights": "lite0"}})
    assert {table.network.name for table in board(tmp_path).tables} == {
        "resnet10t, 64 px, from scratch",
        "resnet10t, 64 px, weights lite0",
    }


def test_rows_say_what_their_backbone_began_with_where_any_began_with_weights(tmp_path: Path):
    write_run(tmp_path)
    assert {row.pretraining for row in only_table(tmp_path).rows} == {""}
    assert "pretraining" not in markdown(board(tmp_path)) + csv_text(board(tmp_path))
    weights = {"name": "lite0", "sha256": "57934424" + "0" * 56}
    write_run(tmp_path, source={"model": {"backbone_weights": "lite0"}, "initial_weights": weights})
    write_run(tmp_path, source={"model": {"pretrained": True}})
    found = board(tmp_path)
    told = {table.network.name.partition("px, ")[2]: {row.pretraining for row in table.rows} for table in found.tables}
    assert told == {"from scratch": {"none"}, "weights lite0": {"lite0 57934424"}, "pretrained": {"timm's"}}
    assert "| pretraining |" in markdown(found) and "| lite0 57934424 |" in markdown(found)
    lines = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert {line["pretraining"] for line in lines} == {"none", "lite0 57934424", "timm's"}


def test_a_frozen_backbone_is_another_table(tmp_path: Path):
    write_run(tmp_path)
    write_run(tmp_path, source={"training": {"freeze_backbone": True}})
    assert {table.network.name for table in board(tmp_path).tables} == {
        "resnet10t, 64 px, from scratch",
        "resnet10t, 64 px, from scratch, frozen in source training",
    }
