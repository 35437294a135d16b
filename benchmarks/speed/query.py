"""Seconds to answer a query over ten thousand records, in the process and as a whole command.

    python benchmarks/speed/query.py [--records 10000] [--repeats 9] [--out benchmarks/speed/query.json]

The records are made up, and as long as those of a real run. The files are in the operating system's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from sfda_kit.config.models import RunConfig
from sfda_kit.results.query import query
from sfda_kit.results.record import Record
from sfda_kit.versions import versions

METHODS = ("shot", "socket", "tgmb", "tgkt")
CLASSES = [f"class-{number:02d}" for number in range(18)]
SQL = "select method, avg(heldout_accuracy) from runs group by method"
ALL = "select * from runs"


def made_up(number: int, chance: random.Random) -> Record:
    method = chance.choice(METHODS)
    scores = {
        f"{part}_{score}": chance.uniform(0, 100)
        for part in ("transductive", "heldout")
        for score in ("accuracy", "mean_class_accuracy", "calibration_error")
    }
    config = RunConfig(method=method, seed=number % 5).model_dump(mode="json")
    return Record(
        run_id=f"{method}-{number}",
        status="ok",
        method=method,
        run_dir=f"runs/{method}-{number}",
        seed=number % 5,
        task={
            "dataset": "rooms",
            "source": "rgb@kv1",
            "target": "depth@kv1",
            "classes": CLASSES,
            "fingerprint": "0" * 16,
        },
        metrics=scores | {"source_accuracy": 90.0},
        baselines={"source-only": scores, "bridge": scores},
        signals={"histogram": [chance.randrange(99) for _ in CLASSES], "entropy": chance.random()},
        cost={"wall_s": 1.0, "peak_memory_mb": 1.0, "trained_parameters": 1.0},
        source={"weights_sha256": "0" * 64, "training": config["source"], "classes": CLASSES},
        config=config,
        recipe={"phases": [{"name": "adapt", "aligners": {"infomax": {"weight": 1.0}}, "train": "backbone"}]},
        versions=versions(),
    )


def seconds(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Wall time, and processor time of this process and its children, which other programs disturb less."""
    wall, processor = [], []
    for _ in range(repeats):
        start, before = time.perf_counter(), sum(os.times()[:4])
        work()
        wall.append(time.perf_counter() - start)
        processor.append(sum(os.times()[:4]) - before)
    return {
        "wall_s": round(statistics.median(wall), 3),
        "least_wall_s": round(min(wall), 3),
        "processor_s": round(statistics.median(processor), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, chance = Path(name), random.Random(0)
        for number in range(given.records):
            run = folder / str(number)
            run.mkdir()
            text = json.dumps(made_up(number, chance).model_dump(mode="json"), indent=2)
            (run / "record.json").write_text(text)
        command = [sys.executable, "-m", "sfda_kit", "results", "query", SQL, "--records", name]
        found = {
            "records": given.records,
            "bytes_of_a_record": len(text),
            SQL: seconds(lambda: query(SQL, folder), given.repeats),
            "the same as a whole command": seconds(
                lambda: subprocess.run(command, check=True, capture_output=True), given.repeats
            ),
            ALL: seconds(lambda: query(ALL, folder), given.repeats),
            "versions": {"duckdb": version("duckdb"), **versions()},
        }
    given.out.write_text(json.dumps(found, indent=2) + "\n")
    Console().print_json(data=found)


if __name__ == "__main__":
    main()
