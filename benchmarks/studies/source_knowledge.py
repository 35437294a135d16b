"""What the source model knows of the very objects that the target shows: its accuracy on their source halves.

    python benchmarks/studies/source_knowledge.py RUNS [--out DIR]

RUNS is a folder of finished runs made with `sfda-kit bench`, whose `source-only` rows hold the source models. Only data
sets that have both halves of every scene can be asked (rooms, crops of NYU Depth V2). Labels and source images of the
target are read here and nowhere else: no run may. What a method reaches without new knowledge ends near these figures.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.config.loading import load_config
from sfda_kit.data.open_views import stored_size
from sfda_kit.data.task import build_task
from sfda_kit.data.views import ImageView, Normalisation
from sfda_kit.inference.adapted_model import load_model
from sfda_kit.metrics import accuracy, mean_class_accuracy
from sfda_kit.plugins.modalities import modality
from sfda_kit.results.collection import StoredRun, load_runs
from sfda_kit.runs.plan import resolve

COLUMNS = ("task", "seed", "accuracy", "mean_class_accuracy", "images")


def ask(run: StoredRun) -> dict[str, Any]:
    """Accuracies in percent of a run's source model on the source halves of the target's test images."""
    config = load_config(run.record.config)
    plan = resolve(config)
    task = build_task(plan.dataset, config.dataset)
    model, card = load_model(run.path)
    source, size = card.source, card.source.model.image_size
    kind = task.source.modality
    pixels = task.dataset.read(task.rows["target-test"], kind, stored_size(size))
    view = ImageView(pixels, modality(kind), plan.encoding, size, Normalisation(source.mean, source.std))
    predictions, labels = fill_bank(model, view).predictions.numpy(), task.labels("target-test")
    return {
        "task": f"{config.dataset.name}, {config.dataset.source} to {config.dataset.target}",
        "seed": run.record.seed,
        "accuracy": round(accuracy(predictions, labels), 2),
        "mean_class_accuracy": round(mean_class_accuracy(predictions, labels), 2),
        "images": len(view),
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    tasks: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        tasks[row["task"]].append(row)
    lines = ["# What source models know of the target's test images, seen by their own sensor", ""]
    lines += ["| task | accuracy | per class | seeds | images |", "| --- | ---: | ---: | ---: | ---: |"]
    for task, own in tasks.items():
        told = [_spread([row[name] for row in own]) for name in ("accuracy", "mean_class_accuracy")]
        lines.append(f"| {task} | {told[0]} | {told[1]} | {len(own)} | {own[0]['images']} |")
    note = "Percent, mean ± sample standard deviation over seeds. Made with labels: for explanation only."
    return "\n".join([*lines, "", note, ""])


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path())
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    chosen = [run for run in load_runs(given.runs) if run.record.method == "source-only" and run.record.status == "ok"]
    rows = [ask(run) for run in chosen if (run.path / "model").is_dir()]
    if not rows:
        raise SystemExit("There is no finished source-only run with its model in these folders.")
    rows.sort(key=lambda row: (row["task"], row["seed"]))
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "source_knowledge.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (given.out / "source_knowledge.md").write_text(markdown(rows), encoding="utf-8")
    Console(width=160).print(markdown(rows), markup=False)


if __name__ == "__main__":
    main()
