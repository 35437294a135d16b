"""Controls with shuffled pairs stand below their method, never rank, and the table says whose gain is none of pairs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfda_kit.config.merging import merge
from sfda_kit.leaderboard.fold_statistics import holm
from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.render.words import notes

from .made_runs import IMAGES, board, kinds, only_table, right, row, write_run
from .test_fold_table import SHARES, fold, write_folds

SEEDS = (0, 1, 2)


def write(root: Path, method: str, share: float, pairs: str = "matched", **changes: Any) -> None:
    for seed in SEEDS:
        changed = {"config": {"dataset": {"pairs": pairs}}} if pairs != "matched" else {}
        write_run(root, method, seed, right(share), right(0.3), **changed, **changes)


def test_a_gain_that_survives_shuffled_pairs_is_called_no_gain_of_pairs(tmp_path: Path):
    write(tmp_path, "shot", 0.9)
    write(tmp_path, "socket", 0.6)
    write(tmp_path, "socket", 0.6, "shuffled")
    table = only_table(tmp_path)
    (said,) = [note for note in notes(table) if "No gain of pairs" in note]
    assert said == (
        "No gain of pairs is shown: socket is not clearly better than with shuffled pairs (difference 0.0 [0.0, 0.0])."
    )
    assert said in markdown(board(tmp_path)).replace("\\", "")


def test_a_gain_of_pairs_is_a_column_and_no_sentence(tmp_path: Path):
    write(tmp_path, "socket", 0.9)
    write(tmp_path, "socket", 0.4, "shuffled")
    table = only_table(tmp_path)
    (found,) = row(table, "socket").versus_shuffled
    assert found.second == "socket, shuffled pairs"
    assert found.difference == pytest.approx(100 * (round(0.9 * IMAGES) - round(0.4 * IMAGES)) / IMAGES)
    assert found.low > 0 and not any("No gain of pairs" in note for note in notes(table))
    assert "minus shuffled pairs" in markdown(board(tmp_path))


def test_what_a_control_gains_over_its_source_models_needs_no_pairing(tmp_path: Path):
    write(tmp_path, "socket", 0.9)
    write(tmp_path, "socket", 0.4, "shuffled")
    found = row(only_table(tmp_path), "socket, shuffled pairs").versus_source
    assert found is not None and found.second == "source-only" and found.adjusted == found.p_value
    assert found.difference == pytest.approx(100 * (round(0.4 * IMAGES) - round(0.3 * IMAGES)) / IMAGES)


def test_controls_are_marked_stand_below_their_method_and_never_rank(tmp_path: Path):
    write(tmp_path, "shot", 0.5)
    write(tmp_path, "socket", 0.8)
    write(tmp_path, "socket", 0.95, "shuffled")
    write(tmp_path, "socket", 0.99, "shuffled-within-class")
    table = only_table(tmp_path)
    assert [found.label for found in table.rows] == [
        "socket",
        "socket, shuffled pairs within class",
        "socket, shuffled pairs",
        "shot",
        "source-only",
    ]
    for label in ("socket, shuffled pairs", "socket, shuffled pairs within class"):
        control = row(table, label)
        assert control.kind == "control" and kinds(control) == ["control"]
        assert control.rank is None and control.versus_best is None
    assert [found.label for found in table.rows if table.leads(found)] == ["socket"]
    assert len(row(table, "socket").versus_shuffled) == 2
    page = markdown(board(tmp_path))
    assert "minus shuffled pairs" in page and "minus shuffled within class" in page
    assert not any("shuffled" in one.second for one in table.comparisons)


def test_variants_meet_the_control_with_their_own_settings(tmp_path: Path):
    for rate in (0.01, 0.1):
        write(tmp_path, "socket", 0.5 + rate, config={"adapt": {"lr": rate}})
    for seed in SEEDS:
        changed = {"dataset": {"pairs": "shuffled"}, "adapt": {"lr": 0.1}}
        write_run(tmp_path, "socket", seed, right(0.4), right(0.3), config=changed)
    table = only_table(tmp_path)
    (found,) = row(table, "socket (adapt.lr=0.1)").versus_shuffled
    assert found.second == "socket (adapt.lr=0.1), shuffled pairs"
    assert row(table, "socket (adapt.lr=0.01)").versus_shuffled == ()


def test_a_control_from_other_source_models_is_not_compared(tmp_path: Path):
    write(tmp_path, "shot", 0.5)
    write(tmp_path, "socket", 0.8)
    write(tmp_path, "socket", 0.4, "shuffled", source={"weights_sha256": "0ther"})
    table = only_table(tmp_path)
    assert row(table, "socket").versus_shuffled == ()
    assert any("no comparable row with matched pairs" in note for note in notes(table))


def test_a_control_without_its_method_is_shown(tmp_path: Path):
    write(tmp_path, "socket", 0.8, "shuffled")
    table = only_table(tmp_path)
    assert row(table, "socket, shuffled pairs").seeds == SEEDS
    assert table.ranked == ()


def test_a_method_that_wrong_pairs_harm_has_no_gain_of_pairs_unless_it_beats_the_source_model(tmp_path: Path):
    write(tmp_path, "socket", 0.3)
    write(tmp_path, "socket", 0.1, "shuffled")
    (said,) = [note for note in notes(only_table(tmp_path)) if "No gain of pairs" in note]
    assert "socket is better than with shuffled pairs, but not clearly better than the source model" in said


def write_shuffled_folds(root: Path, method: str, shares: Sequence[float], pairs: str = "shuffled") -> None:
    for number, share in enumerate(shares):
        told = merge(fold(number), {"config": {"dataset": {"pairs": pairs}}})
        correct = right(share, 10 * number, images=60 + 2 * number)
        write_run(root, method, 0, correct, **told, source={"weights_sha256": f"{number:064x}"})


def test_over_folds_holm_joins_the_comparisons_with_controls(tmp_path: Path):
    for method, less in (("socket", 0.1), ("shot", 0.02)):
        write_folds(tmp_path, method, 0.2)
        near = [share + 0.2 - less - 0.05 * (number % 2) for number, share in enumerate(SHARES)]
        write_shuffled_folds(tmp_path, method, near)
        write_shuffled_folds(tmp_path, method, [share - 0.02 for share in near], "shuffled-within-class")
    table = only_table(tmp_path)
    rows = [one for one in table.rows if one.versus_shuffled]
    compared = [one for each in rows for one in each.versus_shuffled]
    assert len(compared) == 4
    assert [one.adjusted for one in compared] == pytest.approx(holm([one.p_value for one in compared]))
    assert all(one.different == (one.adjusted < 0.05) for one in compared)
    controls = [one.versus_source for one in table.rows if one.kind == "control"]
    assert [one.adjusted for one in controls] == pytest.approx(holm([one.p_value for one in controls]))
    unsure = [one for one in compared if one.only_uncorrected]
    assert unsure, "the case must hold a difference that the correction takes back"
    said = "\n".join(notes(table))
    for one in unsure:
        pairs = one.second.removeprefix(f"{one.first}, ")
        assert f"{one.first} is not clearly better than with {pairs} (" in said and f"p {one.adjusted:.2f})" in said


def test_over_folds_the_difference_is_paired_by_fold(tmp_path: Path):
    write_folds(tmp_path, "socket", 0.2)
    write_folds(tmp_path, "shot", 0.0)
    write_shuffled_folds(tmp_path, "socket", [share + 0.2 for share in SHARES])
    table = only_table(tmp_path)
    (found,) = row(table, "socket").versus_shuffled
    assert found.folds == 4 and found.difference == 0.0
    ahead = row(table, "socket, shuffled pairs").versus_source
    assert ahead == replace(row(table, "socket").versus_source, first="socket, shuffled pairs", adjusted=ahead.p_value)
    assert any("No gain of pairs" in note for note in notes(table))


def test_csv_has_the_comparison_only_where_there_is_one(tmp_path: Path):
    write(tmp_path, "shot", 0.5)
    assert "shuffled" not in csv_text(board(tmp_path)) and "labels_a_class" not in csv_text(board(tmp_path))
    write(tmp_path, "shot", 0.3, "shuffled-within-class")
    lines = list(csv.DictReader(io.StringIO(csv_text(board(tmp_path)))))
    by_label = {line["method"]: line for line in lines}
    assert float(by_label["shot"]["minus_shuffled_within_class_difference"]) == pytest.approx(20.0)
    assert by_label["source-only"]["minus_shuffled_within_class_difference"] == ""
    assert "minus_shuffled_difference" not in lines[0]


def test_random_weights_are_a_control_too(tmp_path: Path):
    write(tmp_path, "socket", 0.8)
    write(tmp_path, "socket", 0.9, config={"adapt": {"initial_weights": "random"}})
    table = only_table(tmp_path)
    control = row(table, "socket, random weights")
    assert control.kind == "control" and kinds(control) == ["control"] and control.rank is None
    assert [found.label for found in table.rows[:2]] == ["socket", "socket, random weights"]
    assert row(table, "socket").versus_shuffled == ()
    assert not any("matched pairs" in note for note in notes(table))
