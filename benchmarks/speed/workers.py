"""20 cells by two workers with one thread each, against one worker with two threads: wall time and ratio.

    python benchmarks/speed/workers.py

Source models and data are made beforehand, so that only the cells themselves are measured; the order is
one, two, two, one. Writes `workers.json` beside this script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from sfda_kit.versions import versions

SUITE: dict[str, Any] = {
    "name": "workers",
    "version": 1,
    "title": "twenty cells",
    "settings": {
        "dataset": {"name": "rooms", "options": {"scenes": 0.25}},
        "source": {"epochs": 1, "floor": 0},
        "adapt": {"epochs": 4},
    },
    "tasks": {"depth": {"dataset": {"source": "rgb@kv1", "target": "depth@kv1"}}},
    "methods": ["shot-im", "shot", "socket", "oracle"],
    "seeds": [0, 1, 2, 3, 4],
}


def bench(folder: Path, runs: str, workers: int, *options: str) -> float:
    """Seconds that the suite takes."""
    command = [sys.executable, "-m", "sfda_kit", "bench", "suite.yaml", "--runs-dir", runs, "--workers", str(workers)]
    environment = {**os.environ, "SFDA_KIT_CACHE": str(folder / "cache"), "CI": "1"}
    began = time.monotonic()
    subprocess.run([*command, *options], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return round(time.monotonic() - began, 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite.yaml").write_text(yaml.safe_dump({**SUITE, "methods": ["source-only"]}))
        bench(folder, "warm", 2)
        (folder / "suite.yaml").write_text(yaml.safe_dump(SUITE))
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for turn, workers in enumerate((1, 2, 2, 1)):
            threads = f"threads={2 // workers}"
            seconds[workers].append(bench(folder, f"turn{turn}", workers, "--executor-option", threads))
    result = {
        "cells": 20,
        "one_worker_two_threads_s": seconds[1],
        "two_workers_one_thread_s": seconds[2],
        "ratio_two_to_one": round(sum(seconds[2]) / sum(seconds[1]), 3),
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
