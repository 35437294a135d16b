"""A plugin with a part of every kind, written and installed from outside: it is clean, tested and runs untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sfda_kit.scaffold.kinds import PART_KINDS
from sfda_kit.scaffold.new_plugin import LONGEST, new_plugin
from sfda_kit.scaffold.writing import write_plugin

pytestmark = pytest.mark.slow

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of every kind, each called ``my-KIND``, and a method from a file."""
    folder = tmp_path_factory.mktemp("written") / "my-sfda"
    given = folder.with_name("given.yaml")
    given.write_text("name: given\nsummary: 'one \"term\"'\nsettings: {adapt: {lr: 1e-5}}\naligners: {infomax: 1}\n")
    parts = {kind: [f"my-{kind}"] for kind in PART_KINDS}
    write_plugin(new_plugin("my-sfda", {**parts, "method": ["my-method", str(given)]}), folder)
    return folder


@pytest.fixture(scope="module")
def tool(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Call ``python -m`` where the plugin is installed."""
    site = tmp_path_factory.mktemp("site")
    pip = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *pip], check=True, capture_output=True)
    core = str(Path(__file__).parents[2])  # mypy does not find what is installed as editable
    path = os.pathsep.join(filter(None, (str(site), core, os.environ.get("PYTHONPATH"))))

    def call(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return call


def test_its_own_tests_pass(tool: Tool, folder: Path):
    """The executor's cells take twenty seconds; ``test_written_files.py`` tests its code without them."""
    true_cells = ("test_every_job_ends_with_one_outcome", "test_closing_stops_what_runs")
    tested = tool("pytest", "-q", "-k", " and ".join(f"not {name}" for name in true_cells), cwd=folder)
    assert "2 deselected" in tested.stdout and "warning" not in tested.stdout


def test_ruff_finds_nothing_with_short_and_with_the_longest_names(tool: Tool, folder: Path, tmp_path: Path):
    longest = {kind: ["m" * LONGEST] for kind in PART_KINDS}
    write_plugin(new_plugin("m" * LONGEST, longest), tmp_path / "longest")
    tool("ruff", "check", "--no-cache", str(folder), str(tmp_path))
    tool("ruff", "format", "--no-cache", "--check", str(folder), str(tmp_path))


def test_mypy_finds_nothing(tool: Tool, folder: Path):
    tool("mypy", cwd=folder)


def test_method_bridge_aligner_labeler_encoding_validator_and_tracker_run_together(tool: Tool, on_pairs: list[str]):
    names = {"method": "my-method", "encoding": "my-encoding", "select": "my-validator", "tracker": "my-tracker"}
    flags = [word for flag, name in names.items() for word in (f"--{flag}", name)]
    done = tool("sfda_kit", "run", *flags, *on_pairs, "--no-pictures", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["status"] == "ok"
    assert all(word in done.stderr for word in ("bridge 2/2", "my-aligner", "pseudo-label"))
    run = Path(summary["run_dir"])
    lines = [json.loads(line) for line in (run / "my-tracker.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line.get("stage") for line in lines] == [*["source"] * 4, *["bridge"] * 2, *["adapt"] * 2, None]
    recorded = json.loads((run / "record.json").read_text(encoding="utf-8"))
    assert recorded["config"]["encoding"]["name"] == "my-encoding"
    assert recorded["selection"]["validator"] == "my-validator"
