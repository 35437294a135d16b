"""Write a reproduction card for each task and method of finished runs: `sfda-kit reproduce CARD` checks it.
Runs on folds make one card over all folds. Controls get none.

    python benchmarks/make_cards.py RECORDS --out DIR [--metric heldout_accuracy]

The band is where the mean over as many new seeds falls with a probability of 95 % (t prediction interval):
mean ± t(0.975, n - 1) sd sqrt(2 / n), and at least ± 1 point, for numerics differ between machines. The same folds and
seeds run again differ in numerics alone, so the band of a card over folds is ± 1 point.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from rich.console import Console
from scipy import stats

from sfda_kit.bench.card import Card, Expected, Metric, Origin
from sfda_kit.bench.reproduce import fingerprint_of
from sfda_kit.config.digest import digest
from sfda_kit.leaderboard.entries import Entry
from sfda_kit.results.collection import load_runs
from sfda_kit.results.record import Record

LEAST = 1.0
"""Points on either side of the mean."""


def band(values: Sequence[float], other_seeds: bool) -> Expected:
    """Where a mean falls that is made again, in percent: with as many other seeds, or with the same runs."""
    mean, count, half = statistics.fmean(values), len(values), LEAST
    if other_seeds:
        half = max(half, stats.t.ppf(0.975, count - 1) * statistics.stdev(values) * math.sqrt(2 / count))
    low, high = max(mean - half, 0.0), min(mean + half, 100.0)
    return Expected(mean=round(mean, 2), low=round(low, 2), high=round(high, 2))


def settings(record: Record) -> dict[str, Any]:
    """What decided the run, but for seed, fold and this machine."""
    config = {key: value for key, value in record.config.items() if key not in ("method", "seed")}
    config["dataset"] = {key: value for key, value in config["dataset"].items() if key not in ("root", "fold")}
    config["compute"] = {"precision": config["compute"]["precision"]}
    return config


def card_of(name: str, records: Sequence[Record], metric: str) -> Card:
    """The card of the runs of one task and method, one record for each fold and seed."""
    first, task = records[0], records[0].task
    folds, seeds = folds_of(records), sorted({record.seed for record in records})
    weights = (
        dict(zip(folds or seeds, map(weights_of, records), strict=True)) if len(folds or seeds) == len(records) else {}
    )
    synthetic = " (synthetic)" if first.synthetic else ""
    return Card.model_validate(
        {
            "name": name,
            "kind": "measured",
            "task": f"{task['dataset']}{synthetic}, {task['source']} -> {task['target']}",
            "method": first.method,
            "config": settings(first),
            "folds": folds,
            "seeds": seeds,
            "metric": metric,
            "expected": band([record.metrics[metric] for record in records], other_seeds=not folds),
            "source": Origin(text=f"measured with sfda-kit {first.versions['sfda-kit']}, {first.started[:10]}"),
            "versions": first.versions,
            "recipe": first.recipe,
            "source_weights": weights,
            "data_fingerprint": fingerprint_of(records),
            "notes": "The oracle trains on target labels and never ranks." if first.oracle else "",
        }
    )


def folds_of(records: Sequence[Record]) -> list[int]:
    """The folds of the records, nothing where they have none."""
    return sorted({record.config["dataset"]["fold"] for record in records if "fold" in record.config["dataset"]})


def weights_of(record: Record) -> str:
    """The hash of the source model."""
    return str(record.source["weights_sha256"])


def grouped(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records of one task and method by a name for their card, by fold and seed; of several the last one counts."""
    groups: dict[tuple[str, str], dict[tuple[int, int], Record]] = {}
    for record in sorted(records, key=lambda record: record.finished):
        task, dataset = record.task, record.config["dataset"]
        data = dataset["folds"] if "fold" in dataset else task["dataset"]
        decided = digest([settings(record), record.recipe, [] if "fold" in dataset else task["fingerprint"]])
        name = f"{record.method}-{data}-{task['source']}-{task['target']}".replace("@", "-").lower()
        groups.setdefault((name, decided), {})[dataset.get("fold", 0), record.seed] = record
    names = [name for name, _ in groups]
    return {
        name if names.count(name) == 1 else f"{name}-{decided[:6]}": [by_seed[seed] for seed in sorted(by_seed)]
        for (name, decided), by_seed in groups.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, help="folder that holds run folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cards")
    parser.add_argument("--metric", choices=get_args(Metric), default="heldout_accuracy")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    runs = [run for run in load_runs([given.records]) if Entry(run).kind != "control"]
    ended = [run.record for run in runs if run.record.status == "ok"]
    usable = [record for record in ended if given.metric in record.metrics and not record.config["source"]["card"]]
    for name, records in grouped(usable).items():
        if len(records) < 2:
            Console().print(f"{name}: a single run has no spread; no card")
            continue
        card = card_of(name, records, given.metric)
        text = yaml.safe_dump(card.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=120)
        (given.out / f"{name}.yaml").write_text(text)
        Console().print(f"{name}: {card.expected.mean} ({card.expected.low} to {card.expected.high})")
    if left := len(ended) - len(usable):
        Console().print(f"{left} runs without {given.metric}, or with a source card of their own, were left out")


if __name__ == "__main__":
    main()
