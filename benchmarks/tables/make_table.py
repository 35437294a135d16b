"""Run methods x tasks x seeds and write one table: mean and spread over seeds, with versions and hashes.

    python benchmarks/tables/make_table.py benchmarks/tables/rooms.yaml [--workers 2] [--runs-dir runs]

Each cell is one `sfda-kit run --resume`, so an interrupted table continues where it stopped, and shared
source models and bridges are trained once. Writes `benchmarks/results/NAME.md` and `NAME.csv` beside the
records' own numbers: nothing is chosen or left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console

from sfda_kit.merging import merge

RESULTS = Path(__file__).parents[1] / "results"
COLUMNS = {
    "heldout_accuracy": "held out",
    "heldout_mean_class_accuracy": "held out, per class",
    "transductive_accuracy": "transductive",
    "transductive_mean_class_accuracy": "transductive, per class",
}


class Cell(NamedTuple):
    task: str
    method: str
    seed: int


def run_cell(cell: Cell, spec: dict[str, Any], runs_dir: Path, threads: int) -> dict[str, Any]:
    """One run in a process of its own; returns its record."""
    config = merge(
        merge(spec.get("settings", {}), spec["tasks"][cell.task]), {"method": cell.method, "seed": cell.seed}
    )
    if root := os.environ.get(spec.get("data_root_variable", "")):
        config = merge(config, {"dataset": {"root": str(Path(root) / spec.get("data_folder", ""))}})
    path = runs_dir / "configs" / f"{cell.task}-{cell.method}-{cell.seed}.yaml".replace(" ", "-")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "sfda_kit", "run", "--config", path, "--resume", "--json", "--runs-dir", runs_dir]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "CI": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{cell}: {done.stderr[-2000:]}")
    summary = json.loads(done.stdout.splitlines()[-1])
    Console().print(f"{cell.task}, {cell.method}, seed {cell.seed}: {summary['metrics']['heldout_accuracy']:.1f}")
    return json.loads((Path(summary["run_dir"]) / "record.json").read_text())


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation."""
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def markdown(spec: dict[str, Any], records: dict[Cell, dict[str, Any]], command: str) -> str:
    lines = [f"# {spec['title']}", "", *spec["notes"].strip().splitlines(), ""]
    for task in spec["tasks"]:
        lines += [f"## {task}", "", "| method | " + " | ".join(COLUMNS.values()) + " | trained parameters |"]
        lines += ["| --- |" + " ---: |" * (len(COLUMNS) + 1)]
        for method in spec["methods"]:
            rows = [records[Cell(task, method, seed)] for seed in spec["seeds"]]
            scores = [spread([row["metrics"][column] for row in rows]) for column in COLUMNS]
            name = f"{method} (target labels, never ranks)" if rows[0]["oracle"] else method
            lines.append(f"| {name} | " + " | ".join(scores) + f" | {rows[0]['cost']['trained_parameters']:,.0f} |")
        any_record = records[Cell(task, spec["methods"][0], spec["seeds"][0])]
        source = [records[Cell(task, spec["methods"][0], seed)]["metrics"]["source_accuracy"] for seed in spec["seeds"]]
        images = ", ".join(f"{part} {count}" for part, count in any_record["task"]["images"].items())
        lines += ["", f"Source model on held-out source images: {spread(source)} %. Images: {images}.", ""]
    versions = ", ".join(f"{name} {version}" for name, version in any_record["versions"].items())
    lines += [f"Accuracy in percent, mean ± sample standard deviation over seeds {spec['seeds']}. Made by `{command}`"]
    return "\n".join([*lines, f"with {versions}.", ""])


def write_csv(path: Path, records: dict[Cell, dict[str, Any]]) -> None:
    fields = [*COLUMNS, "source_only_heldout_accuracy", "source_accuracy"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        costs = ["wall_s", "peak_memory_mb", "trained_parameters"]
        writer.writerow(["task", "method", "seed", *fields, *costs, "config", "source_weights", "task_fingerprint"])
        for cell, record in records.items():
            hashes = [record["config_digest"], record["source"]["weights_sha256"][:16], record["task"]["fingerprint"]]
            numbers = [f"{record['metrics'][field]:.4f}" for field in fields]
            writer.writerow([*cell, *numbers, *(record["cost"][name] for name in costs), *hashes])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", type=Path)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2)))
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    spec = yaml.safe_load(arguments.spec.read_text())
    # Methods outermost and seeds innermost: workers then train different source models, not wait for one.
    cells = [Cell(t, m, s) for m, t, s in product(spec["methods"], spec["tasks"], spec["seeds"])]
    threads = max(1, (os.cpu_count() or 1) // arguments.workers)
    with ThreadPoolExecutor(arguments.workers) as pool:
        found = list(pool.map(lambda cell: run_cell(cell, spec, arguments.runs_dir, threads), cells))
    records = dict(zip(cells, found, strict=True))
    RESULTS.mkdir(exist_ok=True)
    name = arguments.spec.stem
    write_csv(RESULTS / f"{name}.csv", records)
    command = f"python benchmarks/tables/make_table.py benchmarks/tables/{arguments.spec.name}"
    (RESULTS / f"{name}.md").write_text(markdown(spec, records, command))
    Console().print(f"written: {RESULTS / name}.md and .csv")


if __name__ == "__main__":
    main()
