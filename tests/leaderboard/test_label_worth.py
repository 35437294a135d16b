"""The board says how many labels of each class a score is worth, and probes themselves are controls."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfda_kit.leaderboard.label_worth import worth
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.render.words import notes

from .made_runs import board, kinds, only_table, right, row, write_run


@pytest.mark.parametrize(
    ("score", "expected"),
    [(30.0, "< 1"), (40.0, "1.0"), (50.0, "2.0"), (60.0, "4.0"), (75.0, "8.0"), (90.0, "16"), (91.0, "> 16")],
)
def test_scores_between_two_probes_are_interpolated_by_the_logarithm_of_labels(score: float, expected: str):
    """40 at 1 label, 60 at 4 and 90 at 16: half the way up is the geometric mean of the labels."""
    assert worth(score, {4: 60.0, 1: 40.0, 16: 90.0}) == expected


def test_a_curve_that_falls_is_read_where_it_first_reaches_the_score():
    assert worth(55.0, {1: 40.0, 2: 60.0, 4: 50.0, 8: 70.0}) == "1.7"
    assert worth(50.0, {4: 50.0}) == "4.0"


def test_probes_are_marked_as_controls_with_labels_and_methods_get_the_column(tmp_path: Path):
    write_run(tmp_path, "shot", correct=right(0.75), source_correct=right(0.2))
    for labels, share in ((1, 0.6), (4, 0.9)):
        recipe = {"options": {"labels": labels}}
        write_run(tmp_path, "probe", correct=right(share), oracle=True, recipe=recipe, config={"recipe": recipe})
    table = only_table(tmp_path)
    assert row(table, "shot").worth_labels == "2.0" and row(table, "source-only").worth_labels == "< 1"
    probes = [found for found in table.rows if found.method == "probe"]
    assert [sorted(kinds(found)) for found in probes] == [["control", "oracle"]] * 2
    assert all(found.rank is None and found.kind == "control" and not found.worth_labels for found in probes)
    assert row(table, "shot").gap_closed is None, "no control is taken for the oracle"
    assert any(note.startswith("Labels a class") for note in notes(table))
    assert "labels a class" in markdown(board(tmp_path))


def test_without_probes_there_is_no_such_column(tmp_path: Path):
    write_run(tmp_path, "shot")
    write_run(tmp_path, "majority", correct=right(0.4))
    table = only_table(tmp_path)
    assert kinds(row(table, "majority")) == ["control"]
    assert "labels a class" not in markdown(board(tmp_path))
