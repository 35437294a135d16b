"""How well each validator chooses: regret, rank correlation with held-out accuracy, collapsed picks; and which alarms
told of runs that ended below their source model.

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

from sfda_kit.evaluate.selection import RANKED_BY, EpochCandidate, candidate, choose
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


ALARM_HEADINGS = {
    "alarm": "alarm",
    "caught": "raised, below source",
    "missed": "silent, below source",
    "false": "raised, not below source",
    "silent": "silent, not below source",
    "loss_caught": "points lost, raised",
    "loss_missed": "points lost, silent",
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


def _pairs(
    candidates: Sequence[EpochCandidate], known: Mapping[tuple[str, int], float]
) -> list[tuple[float | None, float]]:
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


def judge_alarms(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """One row an alarm: does it stand after the last epoch, and is the model then below the source model?"""
    ends = [_end(run) for run in runs if run.record.method != "source-only"]
    return [_alarm_row(name, ends) for name in sorted({name for _, alarms in ends for name in alarms})]


def _end(run: StoredRun) -> tuple[float, frozenset[str]]:
    """Points of held-out accuracy that the last epoch lost, negative where it won, and its alarms."""
    last = run.history[-1]
    lost = run.record.baselines["source-only"][RANKED_BY] - last["metrics"][RANKED_BY]
    return lost, frozenset(last["signals"].get("alarms", {}))


def _alarm_row(name: str, ends: Sequence[tuple[float, frozenset[str]]]) -> dict[str, Any]:
    raised, silent = [lost for lost, alarms in ends if name in alarms], [lost for lost, a in ends if name not in a]
    caught, missed = [lost for lost in raised if lost > 0], [lost for lost in silent if lost > 0]
    return {
        "alarm": name,
        "caught": len(caught),
        "missed": len(missed),
        "false": len(raised) - len(caught),
        "silent": len(silent) - len(missed),
        "loss_caught": statistics.mean(caught) if caught else None,
        "loss_missed": statistics.mean(missed) if missed else None,
    }


def _table(headings: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| " + " | ".join(headings.values()) + " |", "| --- |" + " ---: |" * (len(headings) - 1)]
    return lines + ["| " + " | ".join(_cell(row[name]) for name in headings) + " |" for row in rows]


def markdown(rows: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], left_out: int) -> str:
    lines = ["# How well validators choose", "", *_table(HEADINGS, rows)]
    note = (
        "Regret: points of held-out accuracy between the best epoch of a run and the one chosen, mean over runs. "
        "Spearman's rho of score and held-out accuracy: within a run over its epochs, and over the methods of one "
        "task, source model and seed; means of those that have three values or more. Validators that scored other "
        "runs (see their number) cannot be compared by regret. "
        f"{left_out} runs left out: failed, without labels, or trained on target labels."
    )
    lines += ["", note, "", "## Alarms after the last epoch", ""]
    if not alarms:
        return "\n".join([*lines, "None was raised.", ""])
    note = "Runs of methods; below source: held-out accuracy under that of the source model, not adapted."
    return "\n".join([*lines, *_table(ALARM_HEADINGS, alarms), "", note, ""])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def write(rows: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], text: str, folder: Path) -> None:
    """``validators.csv``, ``alarms.csv`` and ``validators.md`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, headings, found in (("validators", HEADINGS, rows), ("alarms", ALARM_HEADINGS, alarms)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(headings), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
    (folder / "validators.md").write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path())
    given = parser.parse_args(arguments)
    found = load_runs(given.records)
    runs = [run for run in found if usable(run)]
    if not runs:
        raise SystemExit(f"None of the {len(found)} records has a history with metrics; give finished runs.")
    rows, alarms = summarise(runs), judge_alarms(runs)
    text = markdown(rows, alarms, len(found) - len(runs))
    write(rows, alarms, text, given.out)
    Console(width=200).print(text, markup=False)


if __name__ == "__main__":
    main()
