"""Of several configurations a row shows the one that the validator scores highest; oracle-tuned shows the regret."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfda_kit.config.merging import merge
from sfda_kit.leaderboard import build_board
from sfda_kit.leaderboard.entries import Entry
from sfda_kit.leaderboard.render.csv_table import csv_text
from sfda_kit.leaderboard.render.latex import latex
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.leaderboard.site.build import build_site
from sfda_kit.leaderboard.tuned import choose_by_score
from sfda_kit.results.collection import StoredRun, load_runs
from sfda_kit.results.record import Record

from .made_runs import IMAGES, TaskTable, board, kinds, only_table, right, row, write_run
from .test_fold_table import fold

SEEDS = (0, 1, 2)
NAMES = ("plain", "low", "high")


def configuration(
    name: str, score: float | None, rate: float = 0.01, of: str = "shot", **signals: Any
) -> dict[str, Any]:
    """What the record of a configuration says beside that of a run on its own."""
    tuning = {"row": of, "configuration": name, "number": NAMES.index(name)}
    return {
        "config": {"tuning": tuning, "adapt": {"lr": rate, "validator": {"name": "infomax", "options": {}}}},
        "signals": {"validators": {"infomax": score}} | signals,
    }


def write(
    root: Path, scores: dict[str, float], shares: dict[str, float], seeds: tuple[int, ...] = SEEDS, **told: Any
) -> None:
    for place, (name, score) in enumerate(scores.items()):
        for seed in seeds:
            changes = configuration(name, score, 0.01 * (1 + place), **told)
            write_run(root, "shot", seed, right(shares[name]), right(0.3), **changes)


def mean(table: TaskTable, label: str) -> float:
    return row(table, label).metrics["heldout_accuracy"].mean


def percent(share: float) -> float:
    return 100 * round(share * IMAGES) / IMAGES


def test_the_validator_chooses_and_the_oracle_row_shows_what_that_has_cost(tmp_path: Path):
    write(tmp_path, {"plain": 0.5, "low": 0.9, "high": 0.7}, {"plain": 0.6, "low": 0.4, "high": 0.8})
    for seed in SEEDS:
        write_run(tmp_path, "socket", seed, right(0.5), right(0.3))
    table = only_table(tmp_path)
    assert [one.label for one in table.rows] == ["socket", "shot", "shot, oracle-tuned", "source-only"]
    assert mean(table, "shot") == pytest.approx(percent(0.4)) and mean(table, "shot, oracle-tuned") == percent(0.8)
    chosen, best = row(table, "shot"), row(table, "shot, oracle-tuned")
    assert (chosen.configurations, best.configurations, row(table, "socket").configurations) == (3, 3, 1)
    assert kinds(best) == ["oracle"] and best.rank is None and best.versus_best is None
    assert chosen.kind == "method" and not chosen.marks and chosen.rank == 2
    assert {one.first for one in table.comparisons} | {one.second for one in table.comparisons} == {"socket", "shot"}
    assert "shot: chosen for 3 seeds and folds, of 3 configurations: low for 3." in table.notices
    assert any("the one that infomax scores highest, without labels" in one for one in table.notices)


def test_each_place_has_its_own_choice_and_the_runs_behind_it_are_compared(tmp_path: Path):
    best = {0: "plain", 1: "high", 2: "high"}
    shares = {"plain": 0.5, "high": 0.9}
    for seed in SEEDS:
        for name, share in shares.items():
            changes = configuration(name, 1.0 if best[seed] == name else 0.0)
            write_run(tmp_path, "shot", seed, right(share, seed), right(0.3), name=f"{name}-{seed}", **changes)
        write_run(tmp_path, "aad", seed, right(0.2, seed), right(0.3))
    table = only_table(tmp_path)
    chosen = row(table, "shot")
    assert [result.run_id for result in chosen.results] == ["plain-0", "high-1", "high-2"]
    assert row(table, "aad").versus_best is not None
    assert -row(table, "aad").versus_best.difference == pytest.approx(np.mean([30, 70, 70]))  # type: ignore[union-attr]


def entry(score: float | None, collapsed: bool = False, **metrics: float) -> Entry:
    signals = {"validators": {"infomax": score}, "alarms": {"collapse": "one class"} if collapsed else {}}
    record = Record(run_id="x", status="ok", method="shot", run_dir="", signals=signals, metrics=metrics)
    return Entry(StoredRun(Path(), record))


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([entry(0.1), entry(0.3), entry(0.2)], 1),
        ([entry(0.3), entry(0.3), entry(0.2)], 0),
        ([entry(None), entry(-1.0), entry(None)], 1),
        ([entry(None), entry(None)], 0),
        ([entry(0.1), entry(0.9, collapsed=True)], 0),
        ([entry(0.1, collapsed=True), entry(0.9, collapsed=True)], 1),
        ([entry(0.2, heldout_accuracy=10.0), entry(0.1, heldout_accuracy=90.0)], 0),
    ],
)
def test_the_choice_by_hand(candidates: list[Entry], chosen: int):
    assert choose_by_score(candidates, "infomax") is candidates[chosen]


def test_a_choice_among_equal_scores_is_the_first_of_the_suite_and_not_of_the_alphabet(tmp_path: Path):
    write(tmp_path, {"high": 0.5, "low": 0.5, "plain": 0.5}, {"plain": 0.4, "low": 0.8, "high": 0.8})
    table = only_table(tmp_path)
    assert mean(table, "shot") == percent(0.4)
    assert {result.run_id for result in row(table, "shot, oracle-tuned").results} == {
        run.record.run_id for run in load_runs([tmp_path]) if run.record.config["tuning"]["configuration"] == "low"
    }


@pytest.mark.parametrize("spoilt", ["missing", "failed", "unscored"])
def test_a_place_without_one_of_the_configurations_is_not_compared(tmp_path: Path, spoilt: str):
    write(tmp_path, {"plain": 0.9}, {"plain": 0.6})
    write(tmp_path, {"low": 0.1}, {"low": 0.8}, seeds=(0, 1))
    if spoilt == "failed":
        changes = merge(configuration("low", None), {"status": "failed", "error": "it diverged"})
        write_run(tmp_path, "shot", 2, predictions=False, **changes)
    if spoilt == "unscored":
        write_run(tmp_path, "shot", 2, **merge(configuration("low", None), {"signals": {"validators": None}}))
    for method in ("aad", "nrc"):
        for seed in SEEDS:
            write_run(tmp_path, method, seed, right(0.5), right(0.3))
    table = only_table(tmp_path)
    said = "shot: no scored result of the configuration low for seed 2, so nothing is compared there."
    assert said in table.notices
    chosen = row(table, "shot")
    assert chosen.seeds == (0, 1) and chosen.rank is None
    assert set(kinds(chosen)) == {"seeds"} | ({"failed"} if spoilt == "failed" else set())
    assert [one.reason for one in chosen.failures] == (["it diverged"] if spoilt == "failed" else [])
    assert row(table, "aad").seeds == SEEDS and row(table, "aad").rank == 1


def test_configurations_from_several_source_models_are_not_compared(tmp_path: Path):
    write(tmp_path, {"plain": 0.9}, {"plain": 0.6})
    write(tmp_path, {"low": 0.1}, {"low": 0.8}, seeds=(0, 1))
    changes = configuration("low", 0.1) | {"source": {"weights_sha256": "other"}}
    write_run(tmp_path, "shot", 2, right(0.8), right(0.3), **changes)
    table = only_table(tmp_path)
    assert row(table, "shot").seeds == (0, 1)
    said = "shot: other data or source models among its configurations for seed 2, so nothing is compared there."
    assert said in table.notices


def test_nothing_is_chosen_from_more_configurations_than_a_method_may_have(tmp_path: Path):
    for number in range(9):
        changes = configuration("plain", 0.1 * number)
        changes["config"]["tuning"]["configuration"] = f"try {number}"
        write_run(tmp_path, "shot", 0, right(0.5), right(0.3), **changes)
    write_run(tmp_path, "aad", 0, right(0.5), right(0.3))
    table = only_table(tmp_path)
    assert not any(one.method == "shot" for one in table.rows)
    assert "shot has 9 configurations, at most 8 are allowed: no row." in table.notices


def test_all_configurations_are_shown_on_request_and_never_rank(tmp_path: Path):
    write(tmp_path, {"plain": 0.5, "low": 0.9}, {"plain": 0.9, "low": 0.4})
    (table,) = build_board(load_runs([tmp_path]), "heldout_accuracy", configurations=True).tables
    labels = ["shot", "shot, oracle-tuned", "shot, configuration plain", "shot, configuration low", "source-only"]
    assert [one.label for one in table.rows] == labels
    for label in labels[2:4]:
        assert kinds(row(table, label)) == ["configuration"] and row(table, label).rank is None
    assert mean(table, labels[2]) == percent(0.9) and row(table, "shot").rank == 1


def test_folds_have_choices_of_their_own(tmp_path: Path):
    for number in range(4):
        for name, share in (("plain", 0.5), ("low", 0.8)):
            wins = (name == "low") == (number % 2 == 0)
            changes = merge(fold(number), configuration(name, float(wins)))
            write_run(tmp_path, "shot", 0, right(share), right(0.3), **changes)
        write_run(tmp_path, "aad", 0, right(0.2, number), right(0.3), **fold(number))
    table = only_table(tmp_path)
    assert table.folds == (0, 1, 2, 3)
    chosen = row(table, "shot")
    assert [result.metrics["heldout_accuracy"] for result in chosen.results] == [80.0, 50.0, 80.0, 50.0]
    assert mean(table, "shot, oracle-tuned") == 80.0 and row(table, "shot, oracle-tuned").rank is None
    (pair,) = table.comparisons
    assert pair.folds == 4 and pair.difference == pytest.approx(65.0 - 20.0)


def test_all_formats_and_the_site_tell_the_number_of_configurations(tmp_path: Path):
    write(tmp_path / "runs", {"plain": 0.5, "low": 0.9}, {"plain": 0.9, "low": 0.4})
    runs = load_runs([tmp_path / "runs"])
    found = build_board(runs, "heldout_accuracy")
    assert "| configurations |" in markdown(found) and "configurations" in latex(found)
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(csv_text(found)))}
    assert [lines[name]["configurations"] for name in ("shot", "shot, oracle-tuned", "source-only")] == ["2", "2", ""]
    first = build_site(found, runs, tmp_path / "board")
    assert '<th scope="col" class="num">configurations</th>' in first.read_text()
    assert "chosen_by=infomax" in first.read_text() and "chosen_by=target labels" in first.read_text()


def test_a_board_without_configurations_says_nothing_of_them(tmp_path: Path):
    for seed in SEEDS:
        write_run(tmp_path / "runs", "shot", seed, right(0.5), right(0.3))
    found = board(tmp_path / "runs")
    build_site(found, load_runs([tmp_path / "runs"]), tmp_path / "board")
    pages = [path.read_text() for path in (tmp_path / "board").rglob("*.html")]
    assert len(pages) > 3
    assert not any("configurations" in text for text in (*pages, markdown(found), csv_text(found), latex(found)))


def test_rows_that_other_validators_chose_are_rows_of_their_own_and_a_sentence_says_so(tmp_path: Path):
    write(tmp_path, {"plain": 0.5, "low": 0.9}, {"plain": 0.9, "low": 0.4})
    for name, share in (("plain", 0.9), ("low", 0.4)):
        changes = configuration(name, None)
        changes["config"]["adapt"]["validator"] = {"name": "bnm", "options": {}}
        changes["signals"]["validators"] = {"bnm": share, "infomax": 1 - share}
        for seed in SEEDS:
            write_run(tmp_path, "shot", seed, right(share), right(0.3), **changes)
    table = only_table(tmp_path)
    chosen = {one.settings["chosen_by"]: one for one in table.rows if one.kind == "method"}
    assert chosen["bnm"].metrics["heldout_accuracy"].mean == percent(0.9)
    assert chosen["infomax"].metrics["heldout_accuracy"].mean == percent(0.4)
    assert len({one.label for one in table.rows}) == len(table.rows) == 5
    assert any("chosen by different validators" in one for one in table.notices)
