"""The study of validators on made histories whose answer is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sfda_kit.results.record import Record

from ..conftest import load_study


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load_study("validators")


def write_run(
    root: Path,
    name: str,
    accuracies: list[float],
    scores: dict[str, list[float | None]],
    collapsed: tuple[int, ...] = (),
    source: float = 40.0,
    **facts: Any,
) -> None:
    rows = [
        {
            "phase": "adapt",
            "epoch": k + 1,
            "metrics": {"heldout_accuracy": accuracy},
            "signals": {
                "validators": {v: values[k] for v, values in scores.items()},
                "alarms": {"collapse": "..."} if k + 1 in collapsed else {},
            },
        }
        for k, accuracy in enumerate(accuracies)
    ]
    values: dict[str, Any] = {"run_id": name, "status": "ok", "method": name, "run_dir": name, "seed": 0}
    values |= {
        "metrics": {"heldout_accuracy": accuracies[-1]},
        "baselines": {"source-only": {"heldout_accuracy": source}},
    }
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(Record(**(values | facts)).model_dump_json())
    (folder / "history.json").write_text(json.dumps(rows))


@pytest.fixture
def records(tmp_path) -> Path:
    """Two runs: ``good`` ranks epochs as accuracy does, ``bad`` the other way round and loves collapse."""
    root = tmp_path / "runs"
    write_run(root, "one", [50.0, 60.0, 70.0], {"good": [1, 2, 3], "bad": [3, 2, 1]})
    write_run(root, "two", [80.0, 60.0, 10.0], {"good": [3, 2, 1], "bad": [1, 2, 3], "even": [1, 1, 1]}, collapsed=(3,))
    write_run(root, "three", [90.0], {"good": [9]})
    write_run(root, "failed", [90.0], {"good": [9]}, status="failed")
    write_run(root, "oracle", [99.0], {"good": [9]}, oracle=True)
    write_run(root, "unlabelled", [99.0], {"good": [9]}, metrics={})
    return root


def test_regret_ranks_collapsed_picks_and_vetoes_by_hand(study, records, tmp_path, capsys):
    study.main([str(records), "--out", str(tmp_path / "out")])
    with (tmp_path / "out" / "validators.csv").open() as file:
        rows = {row["validator"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["(last epoch)", "even", "good", "bad"]
    assert float(rows["(last epoch)"]["regret"]) == pytest.approx(70 / 3)
    assert rows["(last epoch)"]["below_source"] == "1" and rows["(last epoch)"]["collapsed"] == "1"
    good, bad, even = rows["good"], rows["bad"], rows["even"]
    assert (good["runs"], float(good["regret"]), float(good["rank_epochs"])) == ("3", 0.0, 1.0)
    assert good["runs_ranked"] == "2"  # a run of one epoch has no ranks
    # bad picks epoch 1 of run one (20 points), and in run two epoch 3, vetoed for epoch 2 (20 instead of 70)
    assert (float(bad["regret"]), float(bad["regret_unguarded"])) == (20.0, 45.0)
    assert (bad["collapsed"], bad["vetoes"], bad["below_source"], float(bad["rank_epochs"])) == ("1", "1", "0", -1.0)
    assert (even["runs"], even["rank_epochs"], even["runs_ranked"]) == ("1", "", "0")
    # over methods, last epochs: accuracies 70, 10, 90 and good's scores 3, 1, 9
    assert (good["groups"], float(good["rank_methods"]), bad["groups"]) == ("1", 1.0, "0")
    text = (tmp_path / "out" / "validators.md").read_text()
    assert "| bad | 2 | 20.00 | 45.00 | 1 | 1 | 0 | -1.00 | 2 |  | 0 |" in text
    assert "3 runs left out" in text and "3 runs left out" in capsys.readouterr().out


def test_alarms_are_held_against_what_became_of_the_run(study, records, tmp_path):
    """By hand: run two ends at 10 of 40 with the alarm; a run that ends at 30 without, one at 50 with it."""
    write_run(records, "four", [30.0], {"good": [1]})
    write_run(records, "five", [50.0], {"good": [1]}, collapsed=(1,))
    write_run(records, "six", [39.0, 60.0], {"good": [1, 2]}, collapsed=(1,))  # the alarm has gone by the end
    write_run(records, "source-only", [40.0], {"good": [1]})
    study.main([str(records), "--out", str(tmp_path / "out")])
    (row,) = csv.DictReader((tmp_path / "out" / "alarms.csv").open())
    assert [row[name] for name in ("alarm", "caught", "missed", "false", "silent")] == ["collapse", "1", "1", "1", "3"]
    assert (float(row["loss_caught"]), float(row["loss_missed"])) == (30.0, 10.0)
    assert "| collapse | 1 | 1 | 1 | 3 | 30.00 | 10.00 |" in (tmp_path / "out" / "validators.md").read_text()


def test_alarms_are_counted_epoch_by_epoch(study, records, tmp_path):
    """By hand, of 7 epochs: run two collapsed in its third, at 10 of 40; no other is below 40."""
    study.main([str(records), "--out", str(tmp_path / "out"), "--alarms"])
    rows = {row["alarm"]: row for row in csv.DictReader((tmp_path / "out" / "alarms_per_epoch.csv").open())}
    counts = ("epochs", "caught", "missed", "false", "silent", "first")
    assert [rows["collapse"][name] for name in counts] == ["7", "1", "0", "0", "6", "0"]
    assert [rows["drift"][name] for name in counts] == ["7", "0", "1", "0", "6", "0"]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "alarms_per_epoch.csv",
        "alarms_per_epoch.md",
    ]


def test_the_present_rule_is_tried_on_what_older_runs_recorded(study, tmp_path):
    """0.50 of 200 pairs at the start; 0.30 is a clear fall, 0.48 is none, and one epoch is no evidence."""
    shares = [0.48, 0.30, 0.30, 0.48]
    task = {"images": {"ti": 200}, "fingerprint": "f"}
    write_run(tmp_path / "runs", "one", [50.0, 30.0, 30.0, 50.0], {}, task=task)
    path = tmp_path / "runs" / "one" / "history.json"
    rows = json.loads(path.read_text())
    for row, share in zip(rows, shares, strict=True):
        text = "alike for 1.0% of the pairs, by the source model, not adapted, for 50.0%: adaptation may be"
        row["signals"] |= {"pair_agreement": share, "alarms": {"pair-disagreement": text}}
    path.write_text(json.dumps(rows))
    *_, recorded, present = study.judge_epochs(study.load_runs([tmp_path]))
    counts = ("caught", "missed", "false", "silent", "first")
    assert [recorded[name] for name in counts] == [2, 0, 2, 0, 1]
    assert [present[name] for name in counts] == [1, 1, 0, 2, 0]


def test_runs_of_other_tasks_and_seeds_are_not_ranked_together(study, tmp_path):
    for k, name in enumerate("abcd"):
        write_run(tmp_path, name, [50.0 + k], {"v": [k]}, seed=k % 2)
    (row,) = study.summarise(study.load_runs([tmp_path]))[1:]
    assert row["groups"] == 0 and row["rank_methods"] is None


def test_without_a_usable_record_it_says_so(study, tmp_path):
    write_run(tmp_path, "failed", [90.0], {"good": [9]}, status="failed")
    with pytest.raises(SystemExit, match="None of the 1 records"):
        study.main([str(tmp_path)])
