"""A runner killed at any moment: nothing lost, nothing twice, the same numbers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from sfda_kit.bench import local

from ..conftest import cells_at_work
from .conftest import cell_here

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


# Tests started in the background inherit an ignored SIGINT; a user's shell never does that to a command.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
START = f"{LISTENING}from sfda_kit.cli.app import main; main()"


@pytest.fixture
def to_the_end(sfda_kit: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], int]:
    """Run a suite to its end in this process, which costs no start of torch for each cell; the exit code."""

    def run(suite: Path, runs_dir: str) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(local, "run_job", cell_here)
            return sfda_kit("bench", suite, "--runs-dir", runs_dir, "--workers", "1").exit_code

    return run


def bench(suite: Path, runs_dir: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", START, "bench", str(suite), "--runs-dir", runs_dir, "--workers", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def results(runs_dir: str) -> list[tuple[Any, ...]]:
    records = [json.loads(path.read_text()) for path in Path(runs_dir).glob("*/record.json")]
    return sorted((r["method"], r["seed"], r["status"], json.dumps(r["metrics"])) for r in records)


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_killed_again_and_again_a_suite_ends_as_undisturbed(
    suite_file: Write, to_the_end: Callable[[Path, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_file(settings=_slow(suite_file))
    assert to_the_end(suite, "undisturbed") == 0
    monkeypatch.setenv("SFDA_KIT_CACHE", str(Path("cache").absolute()))
    for moment in ("killed/*/events.jsonl", "killed/*/record.json"):
        killed = bench(suite, "killed")
        _wait_until(lambda moment=moment: any(Path().glob(moment)))
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        _wait_until(lambda: not cells_at_work())
    assert to_the_end(suite, "killed") == 0
    assert results("killed") == results("undisturbed")
    assert len(results("killed")) == 2


@pytest.mark.needs_plugin("sfda-kit-shot")
def test_ctrl_c_stops_the_cells_and_the_next_start_continues(
    suite_file: Write, to_the_end: Callable[[Path, str], int]
) -> None:
    suite = suite_file(seeds=[0])
    stopped = bench(suite, "stopped")
    _wait_until(lambda: bool(list(Path("stopped").glob("*/events.jsonl"))))
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait() == 130
    _wait_until(lambda: not cells_at_work())
    assert to_the_end(suite, "stopped") == 0
    assert [row[2] for row in results("stopped")] == ["ok"] * 2


def _slow(suite_file: Write) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(suite_file().read_text())["settings"]
    return {**settings, "adapt": {"epochs": 4, "batch_size": 16}}


def _wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
