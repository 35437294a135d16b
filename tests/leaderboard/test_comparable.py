"""Rows that may not be compared are marked, explained, and kept out of ranks and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sfda_kit.leaderboard import MARKS
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.render.words import notes

from .made_runs import board, kinds, only_table, right, row, write_run


def write_majority(root: Path) -> None:
    for method in ("a", "b"):
        for seed in range(2):
            write_run(root, method, seed, right(0.8, seed))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("weights", {"source": {"weights_sha256": "0ther"}}),
        ("data", {"task": {"fingerprint": "0ther"}}),
        ("data", {"task": {"fingerprint": ""}}),
        ("versions", {"versions": {"torch": "1.0"}}),
        ("versions", {"versions": {"sfda-kit": "9.9"}}),
        ("mismatch", {"metrics": {"heldout_accuracy": 99.9}}),
        ("mismatch", {"metrics": {"heldout_accuracy": float("nan")}}),
        ("predictions", {"predictions": False}),
    ],
)
def test_a_row_that_differs_is_marked_and_does_not_rank(tmp_path: Path, kind: str, change: dict[str, Any]):
    write_majority(tmp_path)
    for seed in range(2):
        write_run(tmp_path, "other", seed, right(1.0), **change)
    table = only_table(tmp_path)
    other = row(table, "other")
    assert kinds(other) == [kind]
    assert other.rank is None and other.versus_best is None and other.versus_source is None
    assert [found.label for found in table.ranked] == ["a", "b"]
    assert not any("other" in (found.first, found.second) for found in table.comparisons)
    letter, sentence = MARKS[kind]  # type: ignore[index]
    assert any(note.startswith(f"{letter}: {sentence}") and "[other, " in note for note in notes(table))
    assert sentence in markdown(board(tmp_path))


def test_other_versions_of_other_packages_do_not_matter(tmp_path: Path):
    write_majority(tmp_path)
    for seed in range(2):
        write_run(tmp_path, "other", seed, versions={"numpy": "1.0"})
    assert not row(only_table(tmp_path), "other").marks


def test_the_mark_names_the_versions(tmp_path: Path):
    write_majority(tmp_path)
    for seed in range(2):
        write_run(tmp_path, "other", seed, versions={"torch": "1.0"})
    assert row(only_table(tmp_path), "other").marks[0].detail == "torch 1.0"


def test_one_seed_from_another_source_model_is_a_row_of_its_own(tmp_path: Path):
    write_majority(tmp_path)
    write_run(tmp_path, "c", 0, right(0.4))
    write_run(tmp_path, "c", 1, right(0.4), source={"weights_sha256": "0ther"})
    found = [row for row in only_table(tmp_path).rows if row.label == "c"]
    assert sorted((kinds(row)[0], row.seeds) for row in found) == [("seeds", (0,)), ("weights", (1,))]


def test_missing_seeds_are_named_and_extra_seeds_not_counted(tmp_path: Path):
    for method, seeds in (("a", (0, 1)), ("b", (0, 1)), ("short", (0,)), ("long", (0, 1, 2))):
        for seed in seeds:
            write_run(tmp_path, method, seed, right(1.0 if seed == 2 else 0.5, seed))
    table = only_table(tmp_path)
    assert table.seeds == (0, 1)
    assert [(mark.kind, mark.detail) for mark in row(table, "short").marks] == [("seeds", "seed 1")]
    assert row(table, "long").seeds == (0, 1) and row(table, "long").rank == 1
    assert row(table, "long").metrics["heldout_accuracy"].mean == pytest.approx(50.0)
    assert "long: seed 2 not counted, the table compares seeds 0, 1." in table.notices


def test_the_newer_of_two_equally_frequent_revisions_is_the_reference(tmp_path: Path):
    write_run(tmp_path, "old", task={"fingerprint": "a"})
    write_run(tmp_path, "new", task={"fingerprint": "b"}, finished="2027-01-01T00:00:00+00:00")
    table = only_table(tmp_path)
    assert table.task.fingerprint == "b" and kinds(row(table, "old")) == ["data"]


def test_predictions_of_other_images_under_the_same_fingerprint_are_other_data(tmp_path: Path):
    write_majority(tmp_path)
    for seed in range(2):
        write_run(tmp_path, "forged", seed, right(1.0, images=80))
    assert kinds(row(only_table(tmp_path), "forged")) == ["data"]


def test_the_order_of_stored_images_does_not_matter(tmp_path: Path):
    write_majority(tmp_path)
    for seed in range(2):
        path = write_run(tmp_path, "turned", seed, right(0.5)) / "predictions.parquet"
        pq.write_table(pq.read_table(path).sort_by([("name", "descending")]), path)
    assert not row(only_table(tmp_path), "turned").marks


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet"])
def test_broken_predictions_are_no_predictions(tmp_path: Path, content: bytes):
    (write_run(tmp_path) / "predictions.parquet").write_bytes(content)
    assert kinds(row(only_table(tmp_path), "shot")) == ["predictions"]


def test_predictions_without_a_column_are_no_predictions(tmp_path: Path):
    path = write_run(tmp_path) / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop(["group"]), path)
    assert kinds(row(only_table(tmp_path), "shot")) == ["predictions"]


def test_few_groups_and_a_single_group_are_said(tmp_path: Path):
    write_run(tmp_path / "few", groups=[number % 5 for number in range(60)])
    write_run(tmp_path / "one", groups=[7] * 60)
    assert any("Only 5 groups of images" in notice for notice in only_table(tmp_path / "few").notices)
    assert any("images are not resampled" in notice for notice in only_table(tmp_path / "one").notices)


def test_a_task_with_fewer_images_is_another_table(tmp_path: Path):
    write_run(tmp_path, "shot")
    write_run(tmp_path, "shot", config={"dataset": {"ti_pairs": 50}})
    options = [dict(table.task.options) for table in board(tmp_path).tables]
    assert {} in options and {"ti_pairs": "50"} in options
