"""How well each validator chooses: regret, rank correlation with held-out accuracy, collapsed picks.

    python benchmarks/studies/validators.py RECORDS... [--out DIR]

RECORDS are folders of finished runs (`sfda-kit run`, `sfda-kit bench`). Nothing is run again: scores and metrics
of every epoch are in the histories. Writes `validators.csv` and `validators.md`. Labels judge the validators here;
no run used one. To have expensive validators scored too, make the runs with `--set adapt.validators=all`.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from scipy.stats import ConstantInputWarning, spearmanr

from sfda_kit.evaluate.selection import RANKED_BY, Candidate, candidate, choose
from sfda_kit.results.collection import StoredRun, load_runs

LAST = "(last epoch)"
LEAST = 3
"""A rank correlation of fewer values says nothing."""

HEADINGS = {
    "validator": "validator",
    "runs": "runs",
    "regret": "regret",
    "regret_unguarded": "regret without the guard",
    "collapsed": "picks that had collapsed",
    "vetoes": "vetoes",
    "below_source": "picks below the source model",
    "rank_epochs": "Spearman over epochs",
    "runs_ranked": "of runs",
    "rank_methods": "Spearman over methods",
    "groups": "of groups",
}


class Pick(NamedTuple):
    """What one validator did in one run; regrets in points of held-out accuracy."""

    regret: float
    regret_unguarded: float
    collapsed: bool
    vetoed: bool
    below_source: bool
    rank: float | None


def usable(run: StoredRun) -> bool:
    """Finished, scored by labels for this table, and not trained on them."""
    record = run.record
    return record.status == "ok" and not record.oracle and RANKED_BY in record.metrics and bool(run.history)


def accuracies(run: StoredRun) -> dict[tuple[str, int], float]:
    """Held-out accuracy by epoch."""
    return {(row["phase"], row["epoch"]): row["metrics"][RANKED_BY] for row in run.history}


def rank_correlation(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    """Spearman's rho of scores and accuracies; None for fewer than three pairs, or where one never changes."""
    known = [pair for pair in pairs if pair[0] is not None]
    if len(known) < LEAST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        rho = float(spearmanr(*zip(*known, strict=True)).statistic)
    return None if math.isnan(rho) else rho


def pick(run: StoredRun, validator: str) -> Pick | None:
    """None where the validator scored no epoch of the run."""
    candidates = [candidate(row, validator) for row in run.history]
    free = choose(candidates, guarded=False)
    if free is None:
        return None
    known = accuracies(run)
    guarded = choose(candidates) or candidates[-1]  # as in a run: where no epoch is healthy, the last one
    best = max(known.values())
    return Pick(
        regret=best - known[guarded.phase, guarded.epoch],
        regret_unguarded=best - known[free.phase, free.epoch],
        collapsed=free.collapsed,
        vetoed=free.collapsed and guarded != free,
        below_source=known[guarded.phase, guarded.epoch] < run.record.baselines["source-only"][RANKED_BY],
        rank=rank_correlation(_pairs(candidates, known)),
    )


def _pairs(candidates: Sequence[Candidate], known: Mapping[tuple[str, int], float]) -> list[tuple[float | None, float]]:
    return [(found.score, known[found.phase, found.epoch]) for found in candidates]


def ranks_over_methods(runs: Sequence[StoredRun], validator: str) -> list[float]:
    """One rho for each task, source model and seed: the last epochs of its runs against each other."""
    groups: dict[tuple[Any, ...], list[tuple[float | None, float]]] = defaultdict(list)
    for run in runs:
        last = candidate(run.history[-1], validator)
        record = run.record
        key = (record.task.get("fingerprint"), record.source.get("weights_sha256"), record.seed)
        groups[key].append((last.score, run.history[-1]["metrics"][RANKED_BY]))
    found = [rank_correlation(pairs) for pairs in groups.values()]
    return [rho for rho in found if rho is not None]


def summarise(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """One row a validator, by regret; the first row keeps the last epoch of every run."""
    names = {name for run in runs for row in run.history for name in row["signals"].get("validators", {})}
    rows = [_row(runs, name) for name in sorted(names)]
    return [_last_row(runs), *sorted((row for row in rows if row), key=lambda row: row["regret"])]


def _row(runs: Sequence[StoredRun], validator: str) -> dict[str, Any]:
    picks = [found for run in runs if (found := pick(run, validator))]
    if not picks:
        return {}
    within = [found.rank for found in picks if found.rank is not None]
    over = ranks_over_methods(runs, validator)
    return {
        "validator": validator,
        "runs": len(picks),
        "regret": statistics.mean(found.regret for found in picks),
        "regret_unguarded": statistics.mean(found.regret_unguarded for found in picks),
        "collapsed": sum(found.collapsed for found in picks),
        "vetoes": sum(found.vetoed for found in picks),
        "below_source": sum(found.below_source for found in picks),
        "rank_epochs": statistics.mean(within) if within else None,
        "runs_ranked": len(within),
        "rank_methods": statistics.mean(over) if over else None,
        "groups": len(over),
    }


def _last_row(runs: Sequence[StoredRun]) -> dict[str, Any]:
    last = [run.history[-1]["metrics"][RANKED_BY] for run in runs]
    regret = statistics.mean(max(accuracies(run).values()) - value for run, value in zip(runs, last, strict=True))
    below = [value < run.record.baselines["source-only"][RANKED_BY] for run, value in zip(runs, last, strict=True)]
    collapsed = sum("collapse" in run.history[-1]["signals"].get("alarms", {}) for run in runs)
    return dict.fromkeys(HEADINGS) | {
        "validator": LAST,
        "runs": len(runs),
        "regret": regret,
        "collapsed": collapsed,
        "below_source": sum(below),
    }


def markdown(rows: Sequence[Mapping[str, Any]], left_out: int) -> str:
    lines = ["# How well validators choose", "", "| " + " | ".join(HEADINGS.values()) + " |"]
    lines.append("| --- |" + " ---: |" * (len(HEADINGS) - 1))
    lines += ["| " + " | ".join(_cell(row[name]) for name in HEADINGS) + " |" for row in rows]
    note = (
        "Regret: points of held-out accuracy between the best epoch of a run and the one chosen, mean over runs. "
        "Spearman's rho of score and held-out accuracy: within a run over its epochs, and over the methods of one "
        "task, source model and seed; means of those that have three values or more. Validators that scored other "
        "runs (see their number) cannot be compared by regret. "
        f"{left_out} runs left out: failed, without labels, or trained on target labels."
    )
    return "\n".join([*lines, "", note, ""])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def write(rows: Sequence[Mapping[str, Any]], left_out: int, folder: Path) -> None:
    """``validators.csv`` and ``validators.md`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "validators.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(HEADINGS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "validators.md").write_text(markdown(rows, left_out), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path())
    given = parser.parse_args(arguments)
    found = load_runs(given.records)
    runs = [run for run in found if usable(run)]
    if not runs:
        raise SystemExit(f"None of the {len(found)} records has a history with metrics; give finished runs.")
    rows = summarise(runs)
    write(rows, len(found) - len(runs), given.out)
    Console(width=200).print(markdown(rows, len(found) - len(runs)), markup=False)


if __name__ == "__main__":
    main()
