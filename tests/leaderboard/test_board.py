"""The board as a function of records: tables, variants, seeds, failures, means, gaps."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfda_kit.errors import UserError
from sfda_kit.leaderboard import build_board
from sfda_kit.leaderboard.render.latex import latex
from sfda_kit.leaderboard.render.markdown import markdown
from sfda_kit.results.collection import load_runs

from .made_runs import GROUPS, IMAGES, board, kinds, only_table, right, row, write_run


def test_means_spreads_and_costs_by_hand(tmp_path: Path):
    for seed, share in enumerate((0.5, 0.7, 0.6)):
        write_run(tmp_path, seed=seed, correct=right(share, seed))
    table = only_table(tmp_path)
    found = row(table, "shot")
    assert found.metrics["heldout_accuracy"].mean == pytest.approx(60.0)
    assert found.metrics["heldout_accuracy"].std == pytest.approx(10.0)
    assert found.metrics["heldout_accuracy"].n == 3
    assert found.cost == {"wall_s": 11.0, "peak_memory_mb": 100.0, "trained_parameters": 5.0}
    assert table.source_accuracy is not None and table.source_accuracy.mean == 91.0
    assert (table.seeds, table.groups) == ((0, 1, 2), GROUPS)


def test_a_single_seed_has_no_spread_and_says_what_its_intervals_mean(tmp_path: Path):
    write_run(tmp_path)
    table = only_table(tmp_path)
    assert row(table, "shot").metrics["heldout_accuracy"].std is None
    assert any("seeds are not resampled" in notice for notice in table.notices)


def test_clear_differences_rank_and_equal_rows_tie(tmp_path: Path):
    for seed in range(3):
        write_run(tmp_path, "good", seed, right(0.9, 1))
        write_run(tmp_path, "equal", seed, right(0.9, 1))
        write_run(tmp_path, "bad", seed, right(0.2, 2))
    table = only_table(tmp_path)
    assert [(found.label, found.rank_text) for found in table.ranked] == [("equal", "1="), ("good", "1="), ("bad", "3")]
    behind = row(table, "bad").versus_best
    assert behind is not None and behind.second == "equal" and behind.difference == pytest.approx(-70.0)
    assert behind.low <= -70.0 <= behind.high < 0


def test_every_variant_is_compared_with_the_source_model_it_started_from(tmp_path: Path):
    for seed in range(2):
        write_run(tmp_path, "shot", seed, right(0.8), source_correct=right(0.3))
        write_run(tmp_path, "harmful", seed, right(0.1), source_correct=right(0.3))
    table = only_table(tmp_path)
    gain, loss = row(table, "shot").versus_source, row(table, "harmful").versus_source
    assert gain and loss
    assert gain.difference == pytest.approx(50.0) and loss.difference == pytest.approx(-20.0)


def test_gap_closed_lies_between_source_only_and_oracle(tmp_path: Path):
    write_run(tmp_path, "source-only", correct=right(0.2))
    write_run(tmp_path, "oracle", correct=right(0.8))
    write_run(tmp_path, "shot", correct=right(0.5))
    table = only_table(tmp_path)
    assert row(table, "shot").gap_closed == pytest.approx(50.0)
    assert [found.label for found in table.rows] == ["shot", "source-only", "oracle"]


def test_the_gap_is_known_without_a_run_of_source_only(tmp_path: Path):
    write_run(tmp_path, "source-only", status="failed", error="boom", predictions=False)
    write_run(tmp_path, "oracle", correct=right(0.9), source_correct=right(0.1))
    write_run(tmp_path, "shot", correct=right(0.3), source_correct=right(0.1))
    assert row(only_table(tmp_path), "shot").gap_closed == pytest.approx(25.0)


def test_oracle_and_source_only_never_rank(tmp_path: Path):
    for method in ("oracle", "source-only", "shot"):
        write_run(tmp_path, method, correct=right(0.9 if method != "shot" else 0.1))
    table = only_table(tmp_path)
    assert [found.label for found in table.ranked] == ["shot"]
    assert kinds(row(table, "oracle")) == ["oracle"]
    assert not any({"oracle", "source-only"} & {c.first, c.second} for c in table.comparisons)


def test_the_source_model_has_a_row_though_nobody_ran_it(tmp_path: Path):
    for seed in range(2):
        write_run(tmp_path, seed=seed, source_correct=right(0.3))
    found = row(only_table(tmp_path), "source-only")
    assert found.kind == "source-only" and found.metrics["heldout_accuracy"].mean == pytest.approx(30.0)
    assert found.rank is None


def test_tasks_and_networks_have_tables_of_their_own(tmp_path: Path):
    write_run(tmp_path)
    write_run(tmp_path, task={"target": "depth@c"})
    write_run(tmp_path, task={"classes": ["bed", "chair", "sofa"]})
    write_run(tmp_path, task={"ti_classes": []})
    write_run(tmp_path, task={"split_seed": 1})
    write_run(tmp_path, config={"dataset": {"options": {"size": 3}}})
    for change in ({"backbone": "resnet18"}, {"image_size": 128}, {"pretrained": True}):
        write_run(tmp_path, source={"model": change})
    found = board(tmp_path)
    assert len(found.tables) == len({table.id for table in found.tables}) == 9


def test_encodings_are_compared_in_one_table(tmp_path: Path):
    write_run(tmp_path)
    jet = {"name": "jet", "options": {}}
    write_run(tmp_path, task={"encoding": jet}, config={"encoding": jet})
    table = only_table(tmp_path)
    assert {found.label for found in table.ranked} == {"shot (encoding=copy)", "shot (encoding=jet)"}


def test_variants_are_named_by_what_sets_them_apart(tmp_path: Path):
    write_run(tmp_path, "socket")
    write_run(tmp_path, "socket", config={"recipe": {"input_bridge": {"name": "unet"}}})
    write_run(tmp_path, "socket", config={"recipe": {"aligners": {"infomax": {"weight": 0.5}}}})
    write_run(tmp_path, "shot", config={"adapt": {"lr": 0.02}})
    table = only_table(tmp_path)
    labels = {found.label for found in table.ranked}
    assert labels == {"socket", "socket (recipe.input_bridge=unet)", "socket (recipe.aligners.infomax=0.5)", "shot"}
    assert row(table, "socket (recipe.input_bridge=unet)").settings == {"recipe.input_bridge": "unet"}


def test_a_variant_has_one_name_on_the_whole_board(tmp_path: Path):
    unet = {"recipe": {"input_bridge": "unet"}}
    write_run(tmp_path)
    write_run(tmp_path, config=unet)
    write_run(tmp_path, config=unet, task={"target": "depth@c"})
    second = next(table for table in board(tmp_path).tables if table.task.target == "depth@c")
    assert second.rows[0].label == "shot (recipe.input_bridge=unet)"


def test_rates_of_another_task_are_a_notice_and_no_variant(tmp_path: Path):
    write_run(tmp_path)
    write_run(tmp_path, config={"adapt": {"lr": 0.5}}, task={"target": "depth@c"})
    found = board(tmp_path)
    assert [table.rows[0].label for table in found.tables] == ["shot", "shot"]
    assert found.notices == ("Settings that differ between tables in rows of the same name: adapt.lr.",)


@pytest.mark.parametrize(
    "change",
    [
        {"compute": {"device": "cuda:0"}},
        {"source": {"card": "/elsewhere/card"}},
        {"dataset": {"root": "/elsewhere"}},
        {"preset": "scratch"},
    ],
)
def test_what_decides_no_variant(tmp_path: Path, change: dict):
    write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1, config=change)
    assert [found.seeds for found in only_table(tmp_path).ranked] == [(0, 1)]


def test_another_recipe_behind_the_same_settings_is_another_variant(tmp_path: Path):
    """A newer version of a plugin may mean something else by the same name."""
    for weight in (1.0, 0.5):
        phases = [{"name": "adapt", "aligners": {"infomax": {"weight": weight}}}]
        write_run(tmp_path, recipe={"phases": phases})
    labels = {found.label for found in only_table(tmp_path).ranked}
    assert labels == {f"shot (recipe.phases.adapt.aligners.infomax={weight})" for weight in (1.0, 0.5)}


def test_idle_settings_make_no_variant_of_source_only(tmp_path: Path):
    write_run(tmp_path, "source-only", seed=0)
    write_run(tmp_path, "source-only", seed=1, config={"adapt": {"lr": 0.5}})
    assert [found.label for found in only_table(tmp_path).rows] == ["source-only"]


def test_a_method_named_like_a_variant_does_not_take_its_place(tmp_path: Path):
    write_run(tmp_path, "shot")
    write_run(tmp_path, "shot", config={"recipe": {"labeler": "none"}})
    write_run(tmp_path, "shot (recipe.labeler=none)", name="forged")
    labels = [found.label for found in only_table(tmp_path).ranked]
    assert len(set(labels)) == 3 and sum(label.startswith("shot (recipe.labeler=none) #") for label in labels) == 2


def test_the_newest_of_two_records_counts_and_a_notice_says_so(tmp_path: Path):
    write_run(tmp_path, correct=right(0.9), finished="2026-01-02T00:00:00+00:00", name="a-newer")
    write_run(tmp_path, correct=right(0.1), name="b-older")
    table = only_table(tmp_path)
    assert row(table, "shot").metrics["heldout_accuracy"].mean == pytest.approx(90.0)
    assert "shot: more than one record for seed 0; the newest that ended well counts." in table.notices


def test_a_run_that_ended_well_counts_before_a_newer_failure(tmp_path: Path):
    write_run(tmp_path, correct=right(0.9))
    write_run(tmp_path, status="failed", error="boom", finished="2026-01-02T00:00:00+00:00")
    found = row(only_table(tmp_path), "shot")
    assert found.seeds == (0,) and not found.failures


@pytest.mark.parametrize("status", ["failed", "skipped", "timed_out"])
def test_a_failing_cell_is_a_row_with_its_reason(tmp_path: Path, status: str):
    write_run(tmp_path, "shot")
    error = "no module\nnamed /home/somebody/secret/plugin.py"
    write_run(tmp_path, "broken", status=status, error=error, predictions=False)
    found = row(only_table(tmp_path), "broken")
    assert found.rank is None and not found.metrics and "failed" in kinds(found)
    assert [(one.status, one.reason) for one in found.failures] == [(status, "no module named plugin.py")]


def test_a_run_that_never_began_joins_the_table_of_those_asked_for_the_same(tmp_path: Path):
    write_run(tmp_path, "shot")
    folder = write_run(tmp_path, "absent", status="skipped", error="There is no method 'absent'.", predictions=False)
    record = json.loads((folder / "record.json").read_text())
    record |= {"task": {"dataset": "rooms", "source": "rgb@a", "target": "depth@b"}, "source": {}, "recipe": {}}
    (folder / "record.json").write_text(json.dumps(record))
    found = row(only_table(tmp_path), "absent")
    assert found.failures[0].reason == "There is no method 'absent'."


def test_a_failed_seed_keeps_its_row_from_ranking(tmp_path: Path):
    for seed in range(3):
        write_run(tmp_path, "whole", seed)
        write_run(tmp_path, "torn", seed, status="failed" if seed == 1 else "ok", error="boom")
    table = only_table(tmp_path)
    torn = row(table, "torn")
    assert set(kinds(torn)) == {"failed", "seeds"} and torn.rank is None
    assert torn.seeds == (0, 2) and [one.seed for one in torn.failures] == [1]
    assert [found.label for found in table.ranked] == ["whole"]


def test_per_class_accuracy_ranks_by_classes(tmp_path: Path):
    """Chairs are half of the images here; a method right on all beds and no chair has 50 % of both kinds."""
    labels = np.arange(IMAGES) // 2 % 2
    write_run(tmp_path, "beds", correct=labels == 0)
    write_run(tmp_path, "all", correct=right(1.0))
    table = only_table(tmp_path, "heldout_mean_class_accuracy")
    assert row(table, "beds").versus_best.difference == pytest.approx(-50.0)
    assert not row(table, "beds").marks


@pytest.mark.parametrize("metric", ["transductive_accuracy", "transductive_mean_class_accuracy"])
def test_other_metrics_rank_by_their_own_predictions(tmp_path: Path, metric: str):
    write_run(tmp_path, "good", correct=right(0.9))
    write_run(tmp_path, "bad", correct=right(0.1))
    assert [found.label for found in only_table(tmp_path, metric).ranked] == ["good", "bad"]


def test_a_metric_that_cannot_rank_is_refused():
    with pytest.raises(UserError, match=r"cannot be ranked by 'heldout_acuracy'.*Did you mean 'heldout_accuracy'"):
        build_board([], "heldout_acuracy")


def test_several_tables_are_compared_over_tasks(tmp_path: Path):
    for number in range(6):
        for place, method in enumerate(("a", "b", "c")):
            for seed in range(2):
                share = 0.9 - 0.25 * place
                write_run(tmp_path, method, seed, right(share, number), task={"target": f"depth@{number}"})
    (overall,) = board(tmp_path).overall
    assert len(overall.blocks) == 6
    assert [(found.label, found.rank_text) for found in overall.rows] == [("a", "1"), ("b", "2"), ("c", "3")]
    assert overall.rank_tests is not None and overall.rank_tests.mean_ranks == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_too_few_tables_for_rank_tests_are_told(tmp_path: Path):
    for target in ("depth@x", "depth@y"):
        for method in ("a", "b"):
            write_run(tmp_path, method, task={"target": target})
    (overall,) = board(tmp_path).overall
    assert overall.rank_tests is None
    assert "here 2 variants share 2 tables" in overall.note


def test_nothing_in_common_is_told(tmp_path: Path):
    write_run(tmp_path, "a")
    found = board(tmp_path)
    assert found.overall == () and found.overall_note.startswith("No two tables share two ranked variants")


def test_numbers_that_are_none_are_left_out(tmp_path: Path):
    write_run(tmp_path, cost={"peak_memory_mb": math.nan}, metrics={"heldout_calibration_error": math.inf})
    found = row(only_table(tmp_path), "shot")
    assert "peak_memory_mb" not in found.cost and "heldout_calibration_error" not in found.metrics


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ties, failures, duplicates, other revisions: whatever an order could disturb."""
    root = tmp_path_factory.mktemp("mixed")
    for seed in range(2):
        for method, share in (("a", 0.8), ("b", 0.8), ("c", 0.3), ("oracle", 0.9), ("source-only", 0.2)):
            write_run(root, method, seed, right(share, seed))
            write_run(root, method, seed, right(share, seed), task={"target": "depth@c"})
    write_run(root, "a", 0, right(0.5), finished="2026-01-03T00:00:00+00:00")
    write_run(root, "d", 0, status="failed", error="boom")
    write_run(root, "d", 1, status="timed_out", error="60 s")
    write_run(root, "e", 0, source={"weights_sha256": "other"})
    write_run(root, "e", 1, task={"fingerprint": "other"})
    write_run(root, "b", 0, config={"adapt": {"lr": 1.0}}, versions={"torch": "3.0"})
    return root


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_records_changes_nothing(mixed: Path, order: random.Random):
    runs = load_runs([mixed])
    expected = build_board(runs)
    shuffled = list(runs)
    order.shuffle(shuffled)
    found = build_board(shuffled)
    assert found == expected
    assert markdown(found) == markdown(expected) and latex(found) == latex(expected)
