"""How well each validator chooses: regret, rank correlation with held-out scores, collapsed picks; and which alarms
told of runs that ended below their source model, and of epochs below it. Runs on folds are judged by the mean over
classes, others by plain accuracy, as on a board.

    python benchmarks/studies/validators.py RECORDS... [--backbone NAME] [--out DIR]

RECORDS are folders of finished runs (`sfda-kit run`, `sfda-kit bench`). Nothing is run again: scores and metrics
of every epoch are in the histories. Writes `validators.csv`, `alarms.csv`, `alarms_per_epoch.csv` and `validators.md`;
with `--alarms` only `alarms_per_epoch.csv` and the same table as `alarms_per_epoch.md`. Labels judge the validators
here; no run used one. To have expensive validators scored too, make the runs with `--set adapt.validators=all`.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import statistics
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from scipy.stats import ConstantInputWarning, spearmanr

from sfda_kit.evaluate.pair_alarm import disagreement_stands
from sfda_kit.evaluate.pair_reader import MOST_PAIRS
from sfda_kit.evaluate.selection import RANKED_BY, EpochCandidate, candidate, choose
from sfda_kit.leaderboard.board import METRIC_NAMES
from sfda_kit.leaderboard.entries import Entry
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


EPOCH_HEADINGS = {
    "alarm": "alarm",
    "epochs": "epochs",
    "caught": "raised, below source",
    "missed": "silent, below source",
    "false": "raised, not below source",
    "silent": "silent, not below source",
    "false_share": "false, % of epochs not below",
    "missed_share": "missed, % of epochs below",
    "first": "false in a first epoch",
}
OTHER_ALARMS = ("collapse", "drift", "negative-transfer", "unsure")
PAIRS = "pair-disagreement"
PRESENT = f"{PAIRS} (present rule)"
_REFERENCE = re.compile(r"not adapted, for ([\d.]+)%")
"""The source model's agreement in the text of an alarm; histories of version 0.1 have it nowhere else."""


class Pick(NamedTuple):
    """What one validator did in one run; regrets in points of the score that judges it."""

    regret: float
    regret_unguarded: float
    collapsed: bool
    vetoed: bool
    below_source: bool
    rank: float | None


def usable(run: StoredRun) -> bool:
    """Finished, scored by labels for this table, not trained on them, and no control such as shuffled pairs."""
    record = run.record
    adapts = Entry(run).kind in ("method", "source-only")
    return record.status == "ok" and adapts and leading(run) in record.metrics and bool(run.history)


def leading(run: StoredRun) -> str:
    """The metric that judges a run, as on a board: the mean over classes of runs on folds, else plain accuracy."""
    return "heldout_mean_class_accuracy" if run.record.task.get("folds") else RANKED_BY


def accuracies(run: StoredRun) -> dict[tuple[str, int], float]:
    """What judges a run, by epoch."""
    return {(row["phase"], row["epoch"]): row["metrics"][leading(run)] for row in run.history}


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
        below_source=known[guarded.phase, guarded.epoch] < run.record.baselines["source-only"][leading(run)],
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
        groups[key].append((last.score, run.history[-1]["metrics"][leading(run)]))
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
    last = [run.history[-1]["metrics"][leading(run)] for run in runs]
    regret = statistics.mean(max(accuracies(run).values()) - value for run, value in zip(runs, last, strict=True))
    below = [value < run.record.baselines["source-only"][leading(run)] for run, value in zip(runs, last, strict=True)]
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
    """Points of the score that the last epoch lost, negative where it won, and its alarms."""
    last = run.history[-1]
    lost = run.record.baselines["source-only"][leading(run)] - last["metrics"][leading(run)]
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


class Epoch(NamedTuple):
    """One epoch of one run: whether it is below the source model, whether it is the run's first, and its alarms."""

    below: bool
    first: bool
    alarms: frozenset[str]


def judge_epochs(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """One row an alarm, over all epochs; of `pair-disagreement` also one for the present rule, tried on them."""
    methods = [run for run in runs if run.record.method != "source-only"]
    references = _references(methods)
    recorded = [epoch for run in methods for epoch in _recorded(run)]
    rows = [_epoch_row(name, recorded) for name in OTHER_ALARMS]
    read = [run for run in methods if _source_key(run) in references and _agreements(run)]
    if read:
        rows.append(
            _epoch_row(PAIRS, [epoch for run in read for epoch in _recorded(run)]) | {"alarm": f"{PAIRS} (as recorded)"}
        )
        rows.append(_epoch_row(PRESENT, [epoch for run in read for epoch in _by_present_rule(run, references)]))
    return rows


def _recorded(run: StoredRun) -> list[Epoch]:
    least = run.record.baselines["source-only"][leading(run)]
    return [
        Epoch(row["metrics"][leading(run)] < least, not number, frozenset(row["signals"].get("alarms", {})))
        for number, row in enumerate(run.history)
    ]


def _by_present_rule(run: StoredRun, references: Mapping[tuple[Any, ...], float]) -> list[Epoch]:
    """The rule sees shares of pairs and their number, and no label; a phase begins anew."""
    reference, pairs = references[_source_key(run)], min(MOST_PAIRS, run.record.task["images"]["ti"])
    found, seen = [], defaultdict(list)
    for row, epoch in zip(run.history, _recorded(run), strict=True):
        seen[row["phase"]].append(row["signals"].get("pair_agreement"))
        stands = disagreement_stands(seen[row["phase"]], reference, pairs)
        found.append(epoch._replace(alarms=frozenset({PRESENT} if stands else ())))
    return found


def _agreements(run: StoredRun) -> list[float]:
    return [row["signals"]["pair_agreement"] for row in run.history if "pair_agreement" in row["signals"]]


def _source_key(run: StoredRun) -> tuple[Any, ...]:
    return run.record.task.get("fingerprint"), run.record.source.get("weights_sha256")


def _references(runs: Sequence[StoredRun]) -> dict[tuple[Any, ...], float]:
    """The agreement of each source model: from its figure, or else from the text of an alarm of any of its runs."""
    found: dict[tuple[Any, ...], float] = {}
    for run in runs:
        for row in run.history:
            told = _REFERENCE.search(row["signals"].get("alarms", {}).get(PAIRS, ""))
            known = row["signals"].get("source_pair_agreement", float(told[1]) / 100 if told else None)
            if known is not None:
                found[_source_key(run)] = known
    return found


def _epoch_row(name: str, epochs: Sequence[Epoch]) -> dict[str, Any]:
    raised = [epoch for epoch in epochs if name in epoch.alarms]
    below = sum(epoch.below for epoch in epochs)
    caught = sum(epoch.below for epoch in raised)
    false, above = len(raised) - caught, len(epochs) - below
    return {
        "alarm": name,
        "epochs": len(epochs),
        "caught": caught,
        "missed": below - caught,
        "false": false,
        "silent": above - false,
        "false_share": 100 * false / above if above else None,
        "missed_share": 100 * (below - caught) / below if below else None,
        "first": sum(epoch.first and not epoch.below for epoch in raised),
    }


def epochs_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    note = (
        "Every epoch of runs of methods; below source: a held-out score under that of the source model, not adapted. "
        "As recorded: by the rule of the version that made the run (0.1: any fall, at once). Present rule: a fall by "
        "two standard errors in two epochs in a row, tried on the same histories. Labels judge here; no rule reads one."
    )
    return "\n".join(["## Alarms epoch by epoch", "", *_table(EPOCH_HEADINGS, rows), "", note, ""])


def _table(headings: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| " + " | ".join(headings.values()) + " |", "| --- |" + " ---: |" * (len(headings) - 1)]
    return lines + ["| " + " | ".join(_cell(row[name]) for name in headings) + " |" for row in rows]


def markdown(rows: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], left_out: int, metric: str) -> str:
    lines = ["# How well validators choose", "", *_table(HEADINGS, rows)]
    note = (
        f"Score: {METRIC_NAMES[metric]}. Regret: points of it between the best epoch of a run and the one chosen, mean "
        "over runs. Spearman's rho of the validator and this score: within a run over its epochs, and over the methods "
        "of one task, source model and seed; means of those that have three values or more. Validators that scored "
        "other runs (see their number) cannot be compared by regret. "
        f"{left_out} runs left out: failed, without labels, trained on target labels, or controls."
    )
    lines += ["", note, "", "## Alarms after the last epoch", ""]
    if not alarms:
        return "\n".join([*lines, "None was raised.", ""])
    note = "Runs of methods; below source: a held-out score under that of the source model, not adapted."
    return "\n".join([*lines, *_table(ALARM_HEADINGS, alarms), "", note, ""])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


Table = tuple[Mapping[str, str], Sequence[Mapping[str, Any]]]
"""Headings by key, and rows."""


def write(tables: Mapping[str, Table], name: str, text: str, folder: Path) -> None:
    """Each table as CSV, and ``text`` as ``<name>.md``, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, (headings, found) in tables.items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(headings), lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--backbone", help="judge the runs of this network alone")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--alarms", action="store_true", help="write the table of alarms epoch by epoch alone")
    given = parser.parse_args(arguments)
    found = load_runs(given.records)
    if given.backbone:
        found = [run for run in found if run.record.config["model"]["backbone"] == given.backbone]
    runs = [run for run in found if usable(run)]
    if not runs:
        raise SystemExit(f"None of the {len(found)} records has a history with metrics; give finished runs.")
    metrics = {leading(run) for run in runs}
    if len(metrics) > 1:
        raise SystemExit("Some of these runs have folds and others have not: one metric cannot judge both.")
    (metric,) = metrics
    epochs = judge_epochs(runs)
    tables: dict[str, Table] = {"alarms_per_epoch": (EPOCH_HEADINGS, epochs)}
    name, text = "alarms_per_epoch", epochs_markdown(epochs)
    if not given.alarms:
        rows, alarms = summarise(runs), judge_alarms(runs)
        tables |= {"validators": (HEADINGS, rows), "alarms": (ALARM_HEADINGS, alarms)}
        name, text = "validators", f"{markdown(rows, alarms, len(found) - len(runs), metric)}\n{text}"
    write(tables, name, text, given.out)
    Console(width=200).print(text, markup=False)


if __name__ == "__main__":
    main()
