"""Kill `sfda-kit bench` with SIGKILL at 20 random moments, resume, and compare with an undisturbed run.

    python benchmarks/robustness/killed_runner.py [--kills 20]

Prints and writes `killed_runner.json` beside this script: the moments, and whether the records are the same,
none twice, none missing, with the same metrics to the last digit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from sfda_kit.versions import versions

SUITE: dict[str, Any] = {
    "name": "killed",
    "version": 1,
    "title": "small cells of rooms",
    "settings": {
        "dataset": {"name": "rooms", "options": {"scenes": 0.2}},
        "model": {"image_size": 32},
        "source": {"epochs": 2, "floor": 0},
        "adapt": {"epochs": 4, "batch_size": 32},
    },
    "tasks": {"depth": {"dataset": {"source": "rgb@kv1", "target": "depth@kv1"}}},
    "methods": ["source-only", "shot", "socket", "tgkt"],
    "models": ["test_resnet"],
    "seeds": [0, 1, 2],
}


def start(folder: Path, runs: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, with a cache beside its runs."""
    command = [sys.executable, "-m", "sfda_kit", "bench", "suite.yaml", "--runs-dir", runs]
    environment = {**os.environ, "SFDA_KIT_CACHE": str(folder / f"cache-{runs}"), "CI": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def records(folder: Path) -> list[tuple[Any, ...]]:
    """What decides a row, sorted: a cell that had run twice would stand here twice."""
    found = [json.loads(path.read_text()) for path in folder.glob("*/record.json")]
    return sorted((r["method"], r["seed"], r["status"], json.dumps(r["metrics"])) for r in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite.yaml").write_text(yaml.safe_dump(SUITE))
        began = time.monotonic()
        assert start(folder, "undisturbed").wait() == 0
        undisturbed_s = time.monotonic() - began
        killed_after = [round(moments.uniform(1.0, max(12.0, undisturbed_s / 8)), 2) for _ in range(kills)]
        ended_early = 0
        for seconds in killed_after:
            runner = start(folder, "killed")
            time.sleep(seconds)
            ended_early += runner.poll() is not None
            runner.send_signal(signal.SIGKILL)
            runner.wait()
        done_before = len(records(folder / "killed"))
        assert start(folder, "killed").wait() == 0
        expected, found = records(folder / "undisturbed"), records(folder / "killed")
        folders = len([path for path in (folder / "killed").iterdir() if path.is_dir()])
    result = {
        "cells": len(expected),
        "undisturbed_s": round(undisturbed_s, 1),
        "killed_after_s": killed_after,
        "kills_after_the_suite_had_ended": ended_early,
        "records_before_the_last_start": done_before,
        "run_folders": folders,
        "same_records_and_metrics": found == expected,
        "versions": versions(),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
