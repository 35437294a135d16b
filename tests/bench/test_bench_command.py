"""``sfda-kit bench`` as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Call = Callable[..., Result]
Write = Callable[..., Path]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/record.json"))]


def stages_trained(folder: Path) -> list[tuple[str, int]]:
    """Stage and seed of each training of a source model or a bridge that the runs tell of."""
    found = []
    for log in folder.glob("*/events.jsonl"):
        seed = json.loads((log.parent / "record.json").read_text())["seed"]
        events = [json.loads(line) for line in log.read_text().splitlines()]
        begun = [event["stage"] for event in events if event["kind"] == "epoch" and event["epoch"] == 1]
        found += [(stage, seed) for stage in begun if stage in ("source", "bridge")]
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_suite_runs_once_and_then_has_nothing_left(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(seeds=[0, 1])
    first = sfda_kit("bench", suite, "--workers", "2")
    assert first.exit_code == 0, first.output
    assert "4 cells: 4 missing; 4 to run" in first.output
    assert "4 done" in first.output
    before = {path: path.stat().st_mtime_ns for path in Path("runs/tiny").glob("*/record.json")}
    assert len(before) == 4
    assert sorted(stages_trained(Path("runs/tiny"))) == [("source", 0), ("source", 1)], "not once for each seed"
    again = sfda_kit("bench", suite)
    assert "4 cells: 4 done; 0 to run" in again.output
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_cell_that_cannot_run_costs_only_itself(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(methods=["source-only", "shto"])
    result = sfda_kit("bench", suite)
    assert result.exit_code == 1
    assert "1 done, 1 skipped" in result.output
    assert "Unknown method 'shto'. Did you mean 'shot'" in result.output
    skipped = next(record for record in records(Path("runs/tiny")) if record["status"] == "skipped")
    assert skipped["method"] == "shto" and skipped["task"]["fingerprint"]


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_failing_cell_is_a_row_with_its_reason_and_can_be_retried(sfda_kit: Call, suite_file: Write) -> None:
    methods = {"source-only": {}, "explodes": {"method": "shot-im", "adapt": {"lr": 1e30}}}
    suite = suite_file(methods=methods)
    result = sfda_kit("bench", suite)
    assert result.exit_code == 1
    assert "1 done, 1 failed" in result.output
    assert "explodes, 1 of its cells: The loss term" in result.output
    failed = next(record for record in records(Path("runs/tiny")) if record["status"] == "failed")
    assert "Lower the learning rate" in failed["error"]
    assert "0 to run" in sfda_kit("bench", suite).output
    assert "1 to run" in sfda_kit("bench", "retry", suite).output
    assert len(records(Path("runs/tiny"))) == 2


@pytest.mark.slow
def test_a_cell_over_the_limit_of_time_is_a_row(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(methods=["source-only"], timeout_minutes=0.005)
    result = sfda_kit("bench", suite)
    assert result.exit_code == 1
    assert [record["status"] for record in records(Path("runs/tiny"))] == ["timed_out"]
    assert "can be continued" in result.output
    longer = suite_file(methods=["source-only"])
    assert sfda_kit("bench", longer, "--overwrite", "failed").exit_code == 0
    assert [record["status"] for record in records(Path("runs/tiny"))] == ["ok"]


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_status_and_clean(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(methods=["source-only", "shto"])
    status = sfda_kit("bench", "status", suite)
    assert "1 skipped, 1 missing" in status.output
    assert not Path("runs").exists()
    sfda_kit("bench", suite)
    assert "1 done, 1 skipped" in sfda_kit("bench", "status", suite).output
    assert "1 removed" in sfda_kit("bench", "clean", suite, "--yes").output
    assert [record["status"] for record in records(Path("runs/tiny"))] == ["ok"]
    assert "1 removed" in sfda_kit("bench", "clean", suite, "--all", "--yes").output
    assert records(Path("runs/tiny")) == []


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_always_begins_every_cell_again(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(methods=["source-only"])
    sfda_kit("bench", suite)
    (first,) = records(Path("runs/tiny"))
    assert "1 to run" in sfda_kit("bench", suite, "--overwrite", "always").output
    (second,) = records(Path("runs/tiny"))
    assert second["run_id"] != first["run_id"] and second["metrics"] == first["metrics"]


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_a_skipped_row_goes_when_its_cell_can_run(sfda_kit: Call, suite_file: Write, pairs_root: Path) -> None:
    suite = suite_file(methods=["source-only"])
    hidden = pairs_root.with_name("hidden")
    pairs_root.rename(hidden)
    try:
        assert "1 skipped" in sfda_kit("bench", suite).output
    finally:
        hidden.rename(pairs_root)
    assert sfda_kit("bench", suite).exit_code == 0
    assert [record["status"] for record in records(Path("runs/tiny"))] == ["ok"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--overwrite", "sometimes"], "--overwrite 'sometimes'"),
        (["--executor", "locale"], "Unknown executor 'locale'. Did you mean 'local'"),
        (["--executor-option", "thread=2"], "no option 'thread'. Did you mean 'threads'"),
        (["--executor-option", "threads=0"], "it needs at least 1"),
        (["--tracker", "tensorbord"], "Unknown tracker 'tensorbord'. Did you mean 'tensorboard'"),
        (["--method", "tgkt"], "The suite has no method 'tgkt'"),
    ],
)
def test_mistakes_are_said_before_any_work(sfda_kit: Call, suite_file: Write, arguments: list[str], said: str) -> None:
    result = sfda_kit("bench", suite_file(), *arguments)
    assert result.exit_code == 2
    assert said in str(result.exception)
    assert not Path("runs").exists()


def test_only_one_runner_works_in_a_folder(sfda_kit: Call, suite_file: Write) -> None:
    from sfda_kit.bench.runner import sole_runner

    with sole_runner(Path("runs/tiny")):
        result = sfda_kit("bench", suite_file())
    assert result.exit_code == 2
    assert "Another `sfda-kit bench` works in" in str(result.exception)


def test_shipped_suites_are_listed(sfda_kit: Call) -> None:
    listed = sfda_kit("bench", "list").output
    assert "rooms-mini" in listed and "nyu-objects" in listed


@pytest.mark.slow
@pytest.mark.usefixtures("cells_here")
def test_a_damaged_run_is_told_by_its_path_and_made_again(sfda_kit: Call, suite_file: Write) -> None:
    suite = suite_file(methods=["source-only"], seeds=[0, 1])
    assert sfda_kit("bench", suite).exit_code == 0
    first, second = (path.parent for path in sorted(Path("runs/tiny").glob("*/record.json")))
    whole = records(Path("runs/tiny"))
    (first / "record.json").write_text("{")
    (second / "history.json").write_bytes((second / "history.json").read_bytes()[:40])
    status = sfda_kit("bench", "status", suite)
    assert status.exit_code == 0 and "2 damaged" in status.output
    assert all(f"{path} is damaged" in status.output for path in (first / "record.json", second / "history.json"))
    again = sfda_kit("bench", suite)
    assert again.exit_code == 0 and "2 damaged; 2 to run" in again.output and "2 done" in again.output
    assert [record["metrics"] for record in records(Path("runs/tiny"))] == [record["metrics"] for record in whole]
