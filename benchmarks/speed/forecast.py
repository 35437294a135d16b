"""How near `sfda-kit run --memory` comes to what a run takes.

    python benchmarks/speed/forecast.py [--setting NAME ...] [--out benchmarks/speed/forecast.json]

For each setting the first steps of each stage are made as `--memory` makes them, and then a short run is made in a
process of its own: few scenes, one epoch of the source model and one of the adaptation, with the usual batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import sfda_kit
from sfda_kit.config.loading import load_config
from sfda_kit.events import silent
from sfda_kit.runs.labelled import memory_of_run
from sfda_kit.runs.plan import plan_run
from sfda_kit.versions import versions

SHORT = {"method": "socket", "source": {"epochs": 1, "floor": 0}}
SETTINGS: dict[str, dict[str, Any]] = {
    "resnet10t-64": {"adapt": {"epochs": 1, "steps_per_epoch": 2}, "dataset": {"options": {"scenes": 0.2}}},
    "resnet18-224": {
        "dataset": {"options": {"scenes": 0.08}, "minimum_images": 1},
        "model": {"backbone": "resnet18", "image_size": 224},
        "adapt": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 32},
    },
}


def real(settings: dict[str, Any]) -> float:
    """The peak memory of a run in this process, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        return float(sfda_kit.run(load_config(settings), Path(folder), listener=silent).cost["peak_memory_mb"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--one", help="make the run of this setting here and print its peak")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if given.one:
        print(real(SHORT | SETTINGS[given.one]))
        return
    # A setting that is not measured again keeps its figures.
    results: dict[str, dict[str, float]] = json.loads(given.out.read_text())["results"] if given.out.exists() else {}
    told = {"versions": versions(), "results": results}
    table = Table("setting", "forecast, MiB", "run, MiB", "ratio")
    for name in given.setting:
        stages = list(memory_of_run(plan_run(load_config(SHORT | SETTINGS[name])), largest=False))
        forecast = max((one.peak or 0.0) + one.images for one in stages)
        call = [sys.executable, __file__, "--one", name]
        taken = float(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        row = {one.stage: round(one.peak or 0.0) for one in stages}
        ratio = round(forecast / taken, 3)
        results[name] = row | {"forecast_mib": round(forecast), "run_mib": round(taken), "ratio": ratio}
        given.out.write_text(json.dumps(told, indent=2) + "\n")
        table.add_row(name, f"{forecast:,.0f}", f"{taken:,.0f}", str(ratio))
    Console().print(table)


if __name__ == "__main__":
    main()
