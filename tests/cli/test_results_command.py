"""``sfda-kit results``: SQL over stored records, and what happens to files that are broken."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sfda_kit.results.columns import RUNS
from sfda_kit.results.record import Record
from sfda_kit.results.store import RunFolder

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


def write_run(folder: Path, method: str, seed: int, accuracy: float, **facts: Any) -> Path:
    """A run folder as a run leaves it, with the sizes of a toy."""
    run_id = f"{method}-s{seed}"
    record = Record(
        run_id=run_id,
        status="ok",
        method=method,
        run_dir="/moved/since",
        seed=seed,
        task={
            "dataset": "rooms",
            "source": "rgb@kv1",
            "target": "depth@kv1",
            "fingerprint": "abc",
            "encoding": {"name": "jet"},
        },
        metrics={"heldout_accuracy": accuracy, "source_accuracy": 90.0, "of/a plugin's": 1.0},
        baselines={"source-only": {"heldout_accuracy": 20.0}, "bridge": {"heldout_accuracy": 40.0}},
        cost={"wall_s": 2.5, "joules": 7.0},
        config={"model": {"backbone": "resnet10t", "image_size": 64, "pretrained": False}},
        versions={"sfda-kit": "0.1.0", "torch": "2.15.0"},
        started="2026-11-20T11:58:24+00:00",
        **facts,
    )
    run = RunFolder(folder / run_id)
    run.path.mkdir(parents=True)
    run.write_record(record)
    signals = {"entropy": 0.5, "histogram": [3, 1], "margin": 0.25, "picked": "the last"}
    run.write_history(
        [
            {
                "phase": "adapt",
                "epoch": epoch,
                "metrics": {"heldout_accuracy": accuracy - 2 + epoch},
                "signals": signals,
                "wall_s": 1.0,
            }
            for epoch in (1, 2)
        ]
    )
    table = {"part": ["heldout"] * 2, "name": ["a", "b"], "label": ["x", "y"], "prediction": ["x", "x"]}
    pq.write_table(pa.table(table), run.path / "predictions.parquet")
    return run.path


@pytest.fixture
def runs(private_home: Path) -> Path:
    folder = private_home / "runs"
    for seed, accuracy in enumerate((50.0, 60.0, 70.0)):
        write_run(folder, "shot", seed, accuracy)
        write_run(folder / "more", "tgkt", seed, accuracy + 10)
    return folder


@pytest.fixture
def ask(sfda_kit, runs):
    """Rows of a query as JSON objects."""

    def call(sql: str, *arguments: str | Path) -> list[dict[str, Any]]:
        result = sfda_kit("results", "query", sql, "--format", "json", *arguments)
        assert result.exit_code == 0, result.exception
        return json.loads(result.stdout)

    return call


def test_the_mean_of_each_method(ask):
    found = ask("select method, avg(heldout_accuracy) as mean from runs group by method order by method")
    assert found == [{"method": "shot", "mean": 60.0}, {"method": "tgkt", "mean": 70.0}]


def test_a_run_is_one_flat_row_with_everything(ask, runs):
    (row,) = ask("select * from runs where method = 'tgkt' and seed = 1")
    assert set(RUNS) <= set(row)
    expected = {
        "run_id": "tgkt-s1",
        "status": "ok",
        "dataset": "rooms",
        "target": "depth@kv1",
        "encoding": "jet",
        "backbone": "resnet10t",
        "image_size": 64,
        "pretrained": False,
        "heldout_accuracy": 70.0,
        "source_accuracy": 90.0,
        "of/a plugin's": 1.0,
        "source_only_heldout_accuracy": 20.0,
        "bridge_heldout_accuracy": 40.0,
        "transductive_accuracy": None,
        "wall_s": 2.5,
        "joules": 7.0,
        "task_fingerprint": "abc",
        "torch_version": "2.15.0",
        "sfda_kit_version": "0.1.0",
        "oracle": False,
        "started": "2026-11-20 11:58:24",
        "path": str(runs / "more" / "tgkt-s1"),
    }
    assert {name: row[name] for name in expected} == {**expected, "path": row["path"]}
    assert Path(row["path"]).resolve() == (runs / "more" / "tgkt-s1").resolve()


def test_history_and_predictions_are_there_when_they_are_named(ask):
    curve = ask(
        "select epoch, avg(heldout_accuracy) as mean, any_value(histogram) as h from history group by all order by 1"
    )
    assert curve == [{"epoch": 1, "mean": 64.0, "h": [3, 1]}, {"epoch": 2, "mean": 65.0, "h": [3, 1]}]
    (signals,) = ask("select distinct entropy, margin from HISTORY")
    assert signals == {"entropy": 0.5, "margin": 0.25}
    scores = ask(
        "select run_id, 100 * avg((label = prediction)::int) as accuracy from predictions group by 1 order by 1"
    )
    assert scores[0] == {"run_id": "shot-s0", "accuracy": 50.0} and len(scores) == 6


def test_files_that_the_query_does_not_name_are_not_opened(ask, runs):
    for path in runs.rglob("*"):
        if path.name in ("history.json", "predictions.parquet"):
            path.write_text("broken")
    assert len(ask("select run_id from runs")) == 6


def test_broken_files_are_named_and_left_out(sfda_kit, runs):
    write_run(runs, "aad", 0, 10.0)
    (runs / "aad-s0" / "record.json").write_text('{"run_id": "aad-s0", ')
    for name, text in {
        "list": "[1, 2]",
        "none": '{"format": 1}',
        "later": '{"run_id": "a", "method": "b", "format": 2}',
    }.items():
        (runs / name).mkdir()
        (runs / name / "record.json").write_text(text)
    (runs / "latin").mkdir()
    (runs / "latin" / "record.json").write_bytes(b"\xff\xfe")
    shutil.copytree(runs / "shot-s0", runs / "copied")
    result = sfda_kit("results", "query", "select count(*) as n from runs", "--format", "csv")
    assert result.stdout == "n\n6\n"
    said = {line.split(" is left out: ")[0]: line for line in result.stderr.splitlines()}
    reasons = {
        "aad-s0": "it is not valid JSON",
        "list": "it is no record of a run",
        "none": "it is no record of a run",
        "later": "it has another format than 1",
        "latin": "utf-8",
        "copied": "the same run lies in another folder too",
    }
    assert len(said) == len(reasons)
    for name, reason in reasons.items():
        assert reason in said[f"notice: runs/{name}/record.json"]


def test_broken_histories_and_predictions_are_named_and_left_out(sfda_kit, runs):
    (runs / "shot-s0" / "history.json").write_text("{")
    (runs / "shot-s1" / "history.json").write_text("{}")
    (runs / "shot-s2" / "history.json").unlink()
    result = sfda_kit("results", "query", "select count(distinct run_id) as n from history", "--format", "csv")
    assert result.stdout == "n\n3\n"
    assert "runs/shot-s0/history.json is left out: it is not valid JSON" in result.stderr
    assert "runs/shot-s1/history.json is left out: it is no list of epochs" in result.stderr
    whole = (runs / "shot-s0" / "predictions.parquet").read_bytes()
    (runs / "shot-s0" / "predictions.parquet").write_bytes(whole[:-9])
    (runs / "shot-s1" / "predictions.parquet").write_bytes(b"")
    result = sfda_kit("results", "query", "select count(distinct run_id) as n from predictions", "--format", "csv")
    assert result.stdout == "n\n4\n"
    assert result.stderr.count("predictions.parquet is left out: it is not a whole parquet file") == 2


def test_many_notices_are_counted(sfda_kit, runs):
    for number in range(14):
        (runs / f"x{number}").mkdir()
        (runs / f"x{number}" / "record.json").write_text("{")
    said = sfda_kit("results", "query", "select 1").stderr
    assert said.count("it is not valid JSON") == 10 and "4 further files are left out" in said


def test_a_figure_that_is_no_number_is_null(ask, runs):
    path = runs / "shot-s0" / "record.json"
    record = json.loads(path.read_text())
    record["metrics"] |= {"heldout_accuracy": "high", "source_accuracy": float("nan")}
    path.write_text(json.dumps(record))
    (row,) = ask("select heldout_accuracy, source_accuracy from runs where run_id = 'shot-s0'")
    assert row == {"heldout_accuracy": None, "source_accuracy": None}


def test_no_records_at_all_is_an_empty_answer(sfda_kit, private_home):
    (private_home / "empty").mkdir()
    for view in ("runs", "history", "predictions"):
        result = sfda_kit("results", "query", f"select run_id from {view}", "--records", "empty", "--format", "csv")
        assert result.stdout == "run_id\n"
    assert sfda_kit("results", "query", "select avg(heldout_accuracy) from runs", "--records", "empty").exit_code == 0


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("select heldout_acuracy from runs", "heldout_accuracy"),
        ("select * from run", "Did you mean"),
        ("select 'a' + 1 from runs", "LINE 1:"),
    ],
)
def test_wrong_sql_gets_the_message_of_the_database(sfda_kit, runs, sql, said):
    result = sfda_kit("results", "query", sql)
    assert result.exit_code == 2
    assert "The query failed." in str(result.exception) and said in str(result.exception)


def test_other_mistakes(sfda_kit, runs):
    result = sfda_kit("results", "query", "select 1", "--records", "nowhere")
    assert result.exit_code == 2 and "There is no folder nowhere" in str(result.exception)
    assert "expected table or csv or json" in str(sfda_kit("results", "query", "select 1", "--format", "xml").exception)
    said = str(sfda_kit("results", "export", "cvs", "--out", "a").exception)
    assert "There is no format 'cvs'. Did you mean 'csv'?" in said
    said = str(sfda_kit("results", "export", "csv", "--out", "a", "--view", "histroy").exception)
    assert "There is no view 'histroy'. Did you mean 'history'?" in said
    Path("file").write_text("")
    assert "Cannot write file/a.csv" in str(sfda_kit("results", "export", "csv", "--out", "file/a.csv").exception)
    assert not Path("a").exists()


def test_formats(sfda_kit, runs):
    sql = "select run_id, heldout_accuracy, '[b]' as text, null as nothing from runs order by run_id limit 2"
    table = sfda_kit("results", "query", sql).stdout.splitlines()
    assert table[0].split() == ["run_id", "heldout_accuracy", "text", "nothing"]
    assert table[1].split() == ["shot-s0", "50", "[b]"]
    table = sfda_kit("results", "query", "select heldout_accuracy / 3 as third from runs order by 1").stdout
    assert table.split()[1:3] == ["16.667", "20.000"]
    rows = list(csv.reader(io.StringIO(sfda_kit("results", "query", sql, "--format", "csv").stdout)))
    assert rows == [
        ["run_id", "heldout_accuracy", "text", "nothing"],
        *([f"shot-s{i}", f"{50.0 + 10 * i}", "[b]", ""] for i in (0, 1)),
    ]
    wide = sfda_kit("results", "query", "select * from runs").stdout.splitlines()
    assert len(wide) == 7 and all("…" not in line for line in wide)


def test_export_writes_one_table(sfda_kit, runs):
    assert "6 rows written to out.csv" in sfda_kit("results", "export", "csv", "--out", "out.csv").stdout
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == sorted(f"{m}-s{s}" for m in ("shot", "tgkt") for s in range(3))
    assert rows[0]["heldout_accuracy"] == "50.0" and rows[0]["of/a plugin's"] == "1.0"
    sfda_kit("results", "export", "parquet", "--out", "out.parquet", "--records", "runs/more")
    table = pq.read_table("out.parquet")
    assert table.column("heldout_accuracy").to_pylist() == [60.0, 70.0, 80.0]
    sfda_kit("results", "export", "parquet", "--out", "history.parquet", "--view", "history")
    assert pq.read_table("history.parquet").num_rows == 12


def test_a_single_run_folder_and_a_link_to_one_are_records(ask, runs, tmp_path):
    assert ask("select run_id from runs", "--records", runs / "shot-s0") == [{"run_id": "shot-s0"}]
    (tmp_path / "link").symlink_to(runs / "shot-s1")
    (tmp_path / "around").symlink_to(tmp_path)
    assert ask("select run_id from runs", "--records", tmp_path) == [{"run_id": "shot-s1"}]


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_records_of_real_runs(sfda_kit, on_pairs, ask):
    for method in ("source-only", "shot"):
        sfda_kit("run", "--method", method, *on_pairs, "--epochs", "1", "--runs-dir", "real")
    found = ask(
        "select method, heldout_accuracy, 100 * avg((label = prediction)::int) as recomputed "
        "from runs join predictions using (run_id) where part = 'heldout' group by all",
        "--records",
        "real",
    )
    assert len(found) == 2
    for row in found:
        assert row["heldout_accuracy"] == pytest.approx(row["recomputed"])


def test_the_commands_of_the_page_answer(sfda_kit, runs):
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    lines = [line for line in "\n".join(blocks).replace("\\\n", " ").splitlines() if line]
    assert len(lines) == 8
    for line in lines:
        result = sfda_kit(*shlex.split(line)[1:])
        assert result.exit_code == 0, (line, result.exception)


def test_a_query_imports_no_torch(runs):
    of_duckdb_1 = ("numpy", "pandas", "pyarrow")  # it imports them to bind a parameter
    heavy = ("torch", "timm", *(() if version("duckdb").startswith("1.") else of_duckdb_1))
    code = (
        "import sys\nfrom sfda_kit.cli.app import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['results', 'query', 'select 1 from runs, history']).exit_code == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{there}'",
        "attach '{there}' as other",
        "select * from read_csv('/etc/hostname')",
        "select * from read_text('/etc/hostname')",
        "install httpfs",
        "set enable_external_access = true",
        "reset lock_configuration",
    ],
)
def test_a_query_reaches_neither_files_nor_the_network(sfda_kit, runs, tmp_path, sql):
    there = tmp_path / "written"
    result = sfda_kit("results", "query", sql.format(there=there))
    assert result.exit_code != 0 and "The query failed" in str(result.exception)
    assert not there.exists()


def test_the_table_for_spreadsheets_holds_no_formula(sfda_kit, runs):
    record = runs / "shot-s0" / "record.json"
    record.write_text(record.read_text().replace('"shot"', '"=HYPERLINK(1)"'))
    assert sfda_kit("results", "export", "csv", "--out", "all.csv").exit_code == 0
    assert "'=HYPERLINK(1)" in Path("all.csv").read_text() and ",=HYP" not in Path("all.csv").read_text()
