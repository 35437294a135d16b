"""``sfda-kit run`` as a user calls it, on a small paired folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sfda_kit.interfaces.dataset import PARTS

from ..conftest import last_json

CONTRACT = {
    "heldout_accuracy",
    "heldout_mean_class_accuracy",
    "transductive_accuracy",
    "transductive_mean_class_accuracy",
    "source_only_heldout_accuracy",
    "source_accuracy",
}


def record_of(summary: dict) -> dict:
    return json.loads((Path(summary["run_dir"]) / "record.json").read_text())


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_json_object_keeps_the_contract(sfda_kit, on_pairs):
    summary = last_json(sfda_kit("run", "--method", "tgkt", *on_pairs, "--json"))
    assert set(summary) == {"run_id", "status", "method", "run_dir", "metrics", "cost"}
    assert summary["status"] == "ok" and summary["method"] == "tgkt"
    assert set(summary["metrics"]) == CONTRACT
    assert all(0 <= value <= 100 for value in summary["metrics"].values())
    assert set(summary["cost"]) == {"wall_s", "peak_memory_mb", "trained_parameters"}
    assert all(value > 0 for value in summary["cost"].values())


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_run_folder_holds_everything_and_scores_follow_from_predictions(sfda_kit, on_pairs):
    summary = last_json(sfda_kit("run", "--method", "tgkt", *on_pairs, "--json"))
    folder = Path(summary["run_dir"])
    for name in ("config.yaml", "record.json", "history.json", "events.jsonl", "model/model.safetensors"):
        assert (folder / name).is_file(), name
    for name in ("curves.png", "pairs.png", "confusion.png"):
        assert (folder / "pictures" / name).stat().st_size > 1000
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    for part in ("transductive", "heldout"):
        rows = [i for i, p in enumerate(table["part"]) if p == part]
        right = [table["label"][i] == table["prediction"][i] for i in rows]
        assert summary["metrics"][f"{part}_accuracy"] == pytest.approx(100 * np.mean(right))
        classes = sorted({table["label"][i] for i in rows})
        recalls = [np.mean([r for r, i in zip(right, rows, strict=True) if table["label"][i] == c]) for c in classes]
        assert summary["metrics"][f"{part}_mean_class_accuracy"] == pytest.approx(100 * np.mean(recalls))
        chosen = [record_of(summary)["task"]["classes"][int(np.argmax(table["probabilities"][i]))] for i in rows]
        assert chosen == [table["prediction"][i] for i in rows]


def test_a_run_without_pictures_keeps_none(sfda_kit, on_pairs):
    summary = last_json(sfda_kit("run", "--method", "source-only", *on_pairs, "--no-pictures", "--json"))
    assert summary["status"] == "ok" and not (Path(summary["run_dir"]) / "pictures").exists()


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_the_record_says_what_was_run(sfda_kit, on_pairs):
    record = record_of(last_json(sfda_kit("run", "--method", "tgkt", *on_pairs, "--seed", "3", "--json")))
    assert record["seed"] == 3 and record["synthetic"] is False and record["oracle"] is False
    assert record["task"]["images"].keys() == set(PARTS)
    assert record["versions"]["torch"] and record["versions"]["sfda-kit-tgkt"]
    assert len(record["source"]["weights_sha256"]) == 64
    assert {"source-only", "bridge"} == set(record["baselines"])


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-shot")
def test_a_new_call_is_a_new_run_with_the_same_result(sfda_kit, on_pairs):
    first = last_json(sfda_kit("run", "--method", "shot", *on_pairs, "--json"))
    second = last_json(sfda_kit("run", "--method", "shot", *on_pairs, "--json"))
    assert first["run_id"] != second["run_id"]
    assert first["metrics"] == second["metrics"]


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_stages_are_shared_and_a_finished_run_is_reported_again(sfda_kit, on_pairs, private_home):
    first = sfda_kit("run", "--method", "tgkt", *on_pairs, "--json")
    assert "source: 4 epochs" in first.stderr and "bridge: 2 epochs" in first.stderr
    other = sfda_kit("run", "--method", "tgmb", *on_pairs, "--json")
    assert "source: 4 epochs" not in other.stderr and "bridge: 2 epochs" not in other.stderr
    assert "source taken from the cache" in other.stderr and "bridge taken from the cache" in other.stderr
    again = sfda_kit("run", "--method", "tgkt", *on_pairs, "--json", "--resume")
    assert last_json(again) == last_json(first) and "adapt: 2 epochs" not in again.stderr
    assert len(list((private_home / "runs").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "bridges", "terms"),
    [
        (["--method", "socket", "--bridge", "affine"], {"input": "affine"}, {"infomax", "bn-stats", "ti-features"}),
        (["--method", "tgkt", "--bridge", "copy"], {"input": "copy", "teacher": "copy"}, {"distill", "ti-features"}),
        (["--method", "shot", "--aligner", "bn-stats=0.1"], {"input": "copy"}, {"infomax", "bn-stats"}),
        (["--method", "socket", "--aligner", "bn-stats=0"], {"input": "copy"}, {"infomax", "ti-features"}),
        (
            ["--method", "shot-im", "--teacher-bridge", "fcbnconv", "--aligner", "distill=1"],
            {"input": "copy", "teacher": "fcbnconv"},
            {"infomax", "distill"},
        ),
    ],
)
@pytest.mark.needs_plugin("sfda-kit-shot", "sfda-kit-socket", "sfda-kit-tgkt")
def test_every_part_can_be_swapped(sfda_kit, on_pairs, flags, bridges, terms):
    record = record_of(last_json(sfda_kit("run", *flags, *on_pairs, "--labeler", "none", "--epochs", "1", "--json")))
    recipe = record["recipe"]
    assert recipe["input_bridge"]["name"] == bridges["input"]
    assert (recipe["teacher_bridge"] or {}).get("name") == bridges.get("teacher")
    assert set(recipe["phases"][0]["aligners"]) == terms
    assert recipe["phases"][0]["labeler"] is None


@pytest.mark.slow
@pytest.mark.needs_plugin("sfda-kit-tgkt")
def test_bfloat16_runs_and_says_so(sfda_kit, on_pairs):
    flags = ["--method", "tgkt", *on_pairs, "--epochs", "1", "--set", "compute.precision=bf16", "--json"]
    record = record_of(last_json(sfda_kit("run", *flags)))
    assert record["status"] == "ok" and record["config"]["compute"]["precision"] == "bf16"


@pytest.mark.slow
def test_the_oracle_is_marked(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "oracle", *on_pairs)
    assert "never ranks" in result.stdout
    record = json.loads(next(Path("runs").glob("*/record.json")).read_text())
    assert record["oracle"] is True


@pytest.mark.slow
def test_the_configuration_of_a_run_repeats_it(sfda_kit, on_pairs):
    first = last_json(sfda_kit("run", "--method", "source-only", *on_pairs, "--json"))
    again = sfda_kit("run", "--config", f"{first['run_dir']}/config.yaml", "--resume", "--json")
    assert last_json(again)["run_id"] == first["run_id"]
    assert type(last_json(again)["cost"]["trained_parameters"]) is int


@pytest.mark.slow
def test_output_is_quiet_in_a_pipe(sfda_kit, on_pairs):
    result = sfda_kit("run", "--method", "source-only", *on_pairs)
    assert "\x1b" not in result.stdout
    assert "source-only" in result.stdout and "written to" in result.stdout


@pytest.mark.slow
def test_help_and_plugin_list_import_no_torch():
    code = (
        "import sys\nfrom sfda_kit.cli.app import app\nfrom typer.testing import CliRunner\n"
        "for arguments in (['--help'], ['plugins', 'list'], ['run', '--help']):\n"
        "    assert CliRunner().invoke(app, arguments).exit_code == 0\n"
        "print([name for name in ('torch', 'timm', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_m_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "sfda_kit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sfda-kit ")
