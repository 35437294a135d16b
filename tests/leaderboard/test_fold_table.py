"""Boards of runs on folds, and of the two protocols."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.render.words import explanation, notes
from sfda_kit.leaderboard.site.build import build_site
from sfda_kit.results.collection import load_runs

from .made_runs import board, kinds, only_table, right, row, write_run

SHARES = (0.50, 0.60, 0.40, 0.55)


def fold(number: int, folds: int = 4) -> dict[str, Any]:
    told = {"fold": number, "folds": folds, "repeats": 1, "name": "mine", "version": 1, "sha256": "a" * 64}
    return {"task": {"folds": told, "fingerprint": f"{number:016x}"}, "config": {"dataset": {"fold": number}}}


def write_folds(
    root: Path, method: str, more: float, seed: int = 0, folds: tuple[int, ...] = (0, 1, 2, 3), **changes: Any
) -> None:
    """A run on each of ``folds``: the fold's share of right answers and ``more``; each fold has images of its own."""
    for number in folds:
        correct = right(SHARES[number] + more, seed + 10 * number, images=60 + 2 * number)
        weights = {"source": {"weights_sha256": f"{10 * seed + number:064x}"}}
        write_run(root, method, seed, correct, **{**fold(number), **weights}, **changes)


def test_one_table_over_all_folds_paired_by_fold(tmp_path: Path):
    for seed in (0, 1):
        write_folds(tmp_path, "shot", 0.25, seed)
        write_folds(tmp_path, "tent", 0.0, seed)
    table = only_table(tmp_path)
    assert (table.folds, table.seeds, table.groups) == ((0, 1, 2, 3), (0, 1), 80)
    assert table.metric == "heldout_accuracy" and table.task.options["folds"] == "mine (4 folds, aaaaaaaa)"
    shot, tent = row(table, "shot"), row(table, "tent")
    assert shot.metrics[table.metric].n == 8 and shot.folds == (0, 1, 2, 3) and shot.seeds == (0, 1)
    assert (shot.rank, tent.rank) == (1, 2)
    (found,) = table.comparisons
    assert found.difference == pytest.approx(25.0, abs=0.5) and found.folds == 4 and found.different
    assert found.resampled is not None and found.seen is not None and found.seen < 5
    assert tent.versus_source is not None and tent.versus_source.folds == 4
    baseline = row(table, "source-only")
    assert baseline.metrics[table.metric].n == 8
    text = " ".join(notes(table))
    assert "The smallest difference that could have been seen (80 % power" in text and "..." not in text
    assert "Folds 0, 1, 2, 3; seeds 0, 1;" in text
    said = " ".join(explanation(board(tmp_path)))
    assert "Holm" in said and "false discovery" not in said


def test_no_sentence_of_ours_is_cut_where_a_table_has_several_tracks(tmp_path: Path):
    for number, method in enumerate(("shot", "tent", "adabn", "socket", "tgkt", "coral")):
        write_folds(tmp_path, method, 0.05 * number, track=["pairs"] if number > 2 else [])
    said = [note for note in notes(only_table(tmp_path)) if note.startswith("Track ")]
    assert sum("Holm's correction" in note for note in said) == 2  # tracks `none` and `pairs`
    assert all(note.endswith(".") and not note.endswith("...") for note in said)


def test_folds_that_agree_are_no_difference_where_there_are_only_two(tmp_path: Path):
    """One degree of freedom: the quantile is 12.7, and 8 and 12 points are not told from nothing."""
    for number, more in ((0, 0.08), (1, 0.12)):
        write_folds(tmp_path, "shot", more, folds=(number,))
        write_folds(tmp_path, "tent", 0.0, folds=(number,))
    table = only_table(tmp_path)
    (found,) = table.comparisons
    assert found.low < 0 < found.difference and not found.different
    assert [one.rank for one in table.ranked] == [1, 1]
    assert any("no whole number of repetitions of 4" in notice for notice in table.notices)


def test_a_row_without_one_of_the_folds_does_not_rank(tmp_path: Path):
    write_folds(tmp_path, "shot", 0.2)
    write_folds(tmp_path, "tent", 0.0)
    write_folds(tmp_path, "socket", 0.3, folds=(0, 1, 3))
    table = only_table(tmp_path)
    lacking = row(table, "socket")
    assert kinds(lacking) == ["seeds"] and lacking.marks[0].detail == "no run on fold 2"
    assert lacking.rank is None and {found.label for found in table.ranked} == {"shot", "tent"}


def test_marks_tell_the_fold(tmp_path: Path):
    write_folds(tmp_path, "shot", 0.2)
    write_folds(tmp_path, "tent", 0.0)
    write_folds(tmp_path, "socket", 0.1, folds=(0, 1, 3))
    write_run(tmp_path, "socket", 0, right(0.5, images=64), **{**fold(2), "source": {"weights_sha256": "e" * 64}})
    table = only_table(tmp_path)
    rows = [found for found in table.rows if found.method == "socket"]
    assert {mark.kind: mark.detail for found in rows for mark in found.marks}["weights"] == "fold 2: seed 0"
    assert all(found.rank is None for found in rows)


def test_one_row_is_compared_with_its_source_model_alone(tmp_path: Path):
    write_folds(tmp_path, "shot", 0.2)
    table = only_table(tmp_path)
    assert table.comparisons == () and row(table, "shot").versus_source is not None
    assert table.groups == 80 and any("could have been seen" in notice for notice in table.notices)


def test_a_single_fold_is_compared_like_any_split(tmp_path: Path):
    write_folds(tmp_path, "shot", 0.2, folds=(1,))
    write_folds(tmp_path, "tent", 0.0, folds=(1,))
    table = only_table(tmp_path)
    assert table.folds == () and table.comparisons[0].folds == 0


def test_folds_of_two_files_and_one_split_make_three_tables(tmp_path: Path):
    write_folds(tmp_path, "shot", 0.2)
    other = fold(0)
    other["task"]["folds"]["sha256"] = "b" * 64
    write_run(tmp_path, "shot", **other)
    write_run(tmp_path, "shot")
    assert len(board(tmp_path).tables) == 3


def paper(root: Path, method: str, share: float) -> None:
    """A record of the protocol ``paper``, which has nothing that is held out."""
    import json

    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder = write_run(root, method, 0, right(share), task={"protocol": "paper", "fingerprint": "e" * 16})
    path = folder / "record.json"
    record = json.loads(path.read_text())
    for scores in (record["metrics"], record["baselines"]["source-only"]):
        for name in [name for name in scores if "heldout" in name]:
            del scores[name]
    path.write_text(json.dumps(record))
    table = pq.read_table(folder / "predictions.parquet")
    pq.write_table(table.filter(pc.equal(table["part"], "transductive")), folder / "predictions.parquet")


def test_protocols_never_share_a_table_and_nothing_is_averaged_over_both(tmp_path: Path):
    for method, share in (("shot", 0.9), ("tent", 0.4)):
        write_run(tmp_path, method, 0, right(share))
        paper(tmp_path, method, share)
    found = board(tmp_path, "heldout_mean_class_accuracy")
    by_protocol = {table.task.options.get("protocol", "grouped"): table for table in found.tables}
    assert set(by_protocol) == {"grouped", "paper"} and found.overall == ()
    assert by_protocol["paper"].metric == "transductive_mean_class_accuracy"
    assert row(by_protocol["paper"], "shot").rank == 1 and not row(by_protocol["paper"], "shot").marks
    said = markdown(found).replace("\\", "")
    assert "Nothing is held out" in said and "Every row is a re-implementation" in said


def test_the_mean_over_classes_leads_where_there_are_folds_and_accuracy_on_older_boards(tmp_path: Path):
    from sfda_kit.leaderboard import build_board

    write_run(tmp_path / "old")
    write_folds(tmp_path / "new", "shot", 0.2)
    paper(tmp_path / "paper", "shot", 0.5)
    leading = {name: build_board(load_runs([tmp_path / name])).metric for name in ("old", "new", "paper")}
    assert leading == {
        "old": "heldout_accuracy",
        "new": "heldout_mean_class_accuracy",
        "paper": "transductive_mean_class_accuracy",
    }


def test_the_site_and_the_csv_of_folds(tmp_path: Path):
    write_folds(tmp_path / "runs", "shot", 0.2)
    write_folds(tmp_path / "runs", "tent", 0.0)
    found = board(tmp_path / "runs", "heldout_mean_class_accuracy")
    runs = load_runs([tmp_path / "runs"])
    first = build_site(found, runs, tmp_path / "board")
    assert "Nadeau and Bengio" in "".join(path.read_text() for path in (first.parent / "tasks").glob("*.html"))
    assert "f3 s0" in first.read_text()
    shot, tent, _ = csv.DictReader(io.StringIO(csv_text(found)))
    assert float(tent["minus_best_resampled_low"]) <= float(tent["minus_best_difference"]) < 0
    assert float(tent["minus_best_seen"]) > 0 and shot["minus_best_seen"] == ""


def test_auroc_has_a_column_where_any_record_has_it(tmp_path: Path):
    write_run(tmp_path, metrics={"heldout_auroc": 75.0})
    text = markdown(board(tmp_path))
    assert "| AUROC |" in text and "| 75.0 |" in text
    assert "heldout_auroc_mean" in csv_text(board(tmp_path))
    write_run(tmp_path / "older")
    assert "AUROC" not in markdown(board(tmp_path / "older")) and "auroc" not in csv_text(board(tmp_path / "older"))
