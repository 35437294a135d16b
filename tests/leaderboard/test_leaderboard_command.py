"""``sfda-kit leaderboard show`` as a user calls it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from .made_runs import right, write_run

Command = Callable[..., Result]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    for seed in range(2):
        write_run(tmp_path / "suite", "good", seed, right(0.9, seed))
        write_run(tmp_path / "mine" / "deep", "bad", seed, right(0.2, seed))
    return tmp_path


def test_tables_of_all_folders_below(records: Path, sfda_kit: Command):
    result = sfda_kit("leaderboard", "show", records)
    assert result.exit_code == 0
    assert result.stdout.index("good") < result.stdout.index("bad") < result.stdout.index("source-only")


def test_several_folders_make_one_board(records: Path, sfda_kit: Command):
    apart = sfda_kit("leaderboard", "show", records / "mine", records / "suite", "--format", "markdown")
    together = sfda_kit("leaderboard", "show", records, "--format", "markdown")
    assert apart.stdout == together.stdout and apart.stdout.startswith("# Leaderboard\n")


@pytest.mark.parametrize(("form", "start"), [("latex", r"% \usepackage{booktabs}"), ("csv", "table,task,network")])
def test_formats(records: Path, sfda_kit: Command, form: str, start: str):
    assert sfda_kit("leaderboard", "show", records, "--format", form).stdout.startswith(start)


def test_the_metric_decides_the_ranking(records: Path, sfda_kit: Command):
    result = sfda_kit(
        "leaderboard", "show", records, "--metric", "transductive_mean_class_accuracy", "--format", "markdown"
    )
    assert "| rank | method | track | transductive, mean over classes | transductive | minus best |" in result.stdout


def test_csv_holds_unrounded_numbers(records: Path, sfda_kit: Command):
    (first, *_) = csv.DictReader(io.StringIO(sfda_kit("leaderboard", "show", records, "--format", "csv").stdout))
    assert first["method"] == "good" and float(first["heldout_accuracy_mean"]) == pytest.approx(90.0)


def test_a_folder_that_is_not_there(sfda_kit: Command):
    result = sfda_kit("leaderboard", "show", "nowhere")
    assert result.exit_code == 2 and "There is no folder nowhere" in str(result.exception)


def test_a_folder_without_runs(tmp_path: Path, sfda_kit: Command):
    result = sfda_kit("leaderboard", "show", tmp_path)
    assert result.exit_code == 2
    assert "There is no record.json at any depth below" in str(result.exception)
    assert "--runs-dir" in str(result.exception)


def test_a_record_that_cannot_be_read_is_named(records: Path, sfda_kit: Command):
    broken = records / "suite" / "broken"
    broken.mkdir()
    (broken / "record.json").write_text("{")
    result = sfda_kit("leaderboard", "show", records)
    assert result.exit_code == 2 and str(broken / "record.json") in str(result.exception)


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--format", "expected rich or markdown or latex or csv"), ("--metric", "expected heldout_accuracy or")],
)
def test_wrong_choices_are_told(records: Path, sfda_kit: Command, flag: str, message: str):
    result = sfda_kit("leaderboard", "show", records, flag, "pdf")
    assert result.exit_code == 2 and message in str(result.exception)
