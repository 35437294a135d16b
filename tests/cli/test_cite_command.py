"""``sfda-kit cite``: BibTeX on stdout, and a message where there is no run."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from sfda_kit.cli.app import app
from sfda_kit.errors import UserError
from sfda_kit.results.record import Record


def test_the_entries_of_a_run_come_on_stdout(tmp_path: Path):
    record = Record(run_id="one", status="ok", method="source-only", run_dir="one", task={"dataset": "diml"})
    (tmp_path / "record.json").write_text(record.model_dump_json())
    found = CliRunner().invoke(app, ["cite", str(tmp_path), str(tmp_path)])
    assert found.exit_code == 0
    assert found.stdout.count("@misc{diml,") == 1


def test_a_folder_without_a_record_is_named(tmp_path: Path):
    found = CliRunner().invoke(app, ["cite", str(tmp_path)])
    assert isinstance(found.exception, UserError)
    assert str(tmp_path) in str(found.exception) and "record.json" in str(found.exception)
