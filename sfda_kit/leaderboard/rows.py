"""Building of rows from candidates: their means, costs, reasons of failure and order."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from sfda_kit.config.digest import digest
from sfda_kit.leaderboard.board import LATER_METRICS, METRICS, BoardRow, Comparison, SeedResult, Spread
from sfda_kit.leaderboard.comparable import BoardCandidate
from sfda_kit.leaderboard.entries import INITIAL_WEIGHTS, LATER, PAIRS, SOURCE_ONLY, Entry, TableKey
from sfda_kit.leaderboard.tracks import Rankings, place
from sfda_kit.results.redaction import without_folders

COSTS = ("wall_s", "peak_memory_mb", "trained_parameters")
LONGEST_REASON = 200


def build_rows(
    candidates: Sequence[BoardCandidate],
    seeds: Sequence[int],
    metric: str,
    rankings: Rankings,
    shuffled: Sequence[Comparison] = (),
) -> tuple[BoardRow, ...]:
    """Return the rows in order: ranked, not comparable, without a result, then controls, source-only and oracle.

    Ranked rows stand by track. A control with a setting of its own stands below the row of its method, and so do the
    other rows of a method with several configurations. ``shuffled``: comparisons of methods and controls.
    """
    rows = [build_row(candidate, rankings) for candidate in candidates]
    if not any(row.kind == SOURCE_ONLY and row.seeds for row in rows):
        rows += _baseline_row(candidates, seeds)
    rows = [replace(row, gap_closed=_gap_closed(row, rows, metric)) for row in rows]
    rows = [_with_shuffled(row, shuffled) for row in rows]
    return _with_tuned(_beside(sorted(rows, key=lambda row: _place(row, metric))))


def _with_shuffled(row: BoardRow, shuffled: Sequence[Comparison]) -> BoardRow:
    """Give a method its comparisons with its controls, and a control that with its source models."""
    own = tuple(one for one in shuffled if one.first == row.label and row.seeds)
    if row.kind == "control":
        return replace(row, versus_source=next(iter(own), None))
    return replace(row, versus_shuffled=own) if row.kind == "method" else row


def _beside(rows: Sequence[BoardRow]) -> tuple[BoardRow, ...]:
    """Put each control below the first row of its method and settings, where there is one."""
    below: dict[int, list[BoardRow]] = defaultdict(list)
    others = []
    for row in rows:
        settings = {name: value for name, value in row.settings.items() if name not in (PAIRS, INITIAL_WEIGHTS)}
        own = [id(one) for one in rows if one.method == row.method and dict(one.settings) == settings]
        if row.kind == "control" and own and len(settings) < len(row.settings):
            below[own[0]].append(row)
        else:
            others.append(row)
    return tuple(found for row in others for found in (row, *below[id(row)]))


def _with_tuned(rows: Sequence[BoardRow]) -> tuple[BoardRow, ...]:
    """Put the best and the single configurations of a method below the first row that was chosen among them."""
    chosen = {row.tuned: row for row in reversed(rows) if row.tuned and not _is_beside(row)}
    moved = [row for row in rows if _is_beside(row) and row.tuned in chosen]
    below: dict[int, list[BoardRow]] = defaultdict(list)
    for row in sorted(moved, key=lambda row: row.kind == "configuration"):
        below[id(chosen[row.tuned])].append(row)
    gone = set(map(id, moved))
    return tuple(found for row in rows if id(row) not in gone for found in (row, *below[id(row)]))


def _is_beside(row: BoardRow) -> bool:
    return row.kind in ("oracle-tuned", "configuration")


def build_row(candidate: BoardCandidate, rankings: Rankings) -> BoardRow:
    """Return the row of a candidate; a candidate that is not in the ranking of its track has no rank."""
    results = tuple(_result(entry, candidate.counts(entry)) for entry in candidate.entries)
    counted = [result for result in results if result.counted]
    as_row = next((entry.tuned for entry in candidate.entries), None)
    row = BoardRow(
        label=candidate.variant.label,
        method=candidate.variant.method,
        kind=candidate.kind,
        settings=dict(candidate.variant.settings),
        results=results,
        metrics=spreads([result.metrics for result in counted]),
        cost=_medians([result.cost for result in counted]),
        marks=candidate.marks,
        synthetic=any(entry.record.synthetic for entry in candidate.entries),
        configurations=as_row.count if as_row else 0,
        tuned=as_row.of if as_row else "",
        track=candidate.track,
    )
    ranking = None if candidate.track is None else rankings.get(candidate.track)
    if ranking is None or not candidate.compared:
        return row
    return replace(
        row,
        rank=ranking.ranks[row.label],
        tied=row.label in ranking.tied,
        versus_best=ranking.versus_best.get(row.label),
        versus_source=ranking.versus_source.get(row.label),
    )


def _result(entry: Entry, counted: bool) -> SeedResult:
    record = entry.record
    return SeedResult(
        seed=record.seed,
        status=record.status,
        run_id=record.run_id,
        counted=counted,
        reason="" if record.status == "ok" else _reason(record.error),
        metrics={name: value for name, value in record.metrics.items() if math.isfinite(value)},
        cost={name: value for name, value in record.cost.items() if math.isfinite(value)},
        config_digest=record.config_digest,
        source_weights=entry.weights,
        fingerprint=entry.fingerprint,
        versions=dict(record.versions),
        finished=record.finished,
        fold=entry.fold,
    )


def _reason(error: str) -> str:
    """Return the error as one line, without the folders of its paths."""
    line = " ".join(without_folders(error).split()) or "no reason was recorded"
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."


def spreads(metrics: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return mean and spread of each metric that every run has."""
    return {
        name: spread([found[name] for found in metrics])
        for name in (*METRICS, *LATER_METRICS)
        if metrics and all(name in found for found in metrics)
    }


def spread(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation of ``values``."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))


def _medians(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    found = {name: [cost[name] for cost in costs if name in cost] for name in COSTS}
    return {name: float(np.median(values)) for name, values in found.items() if values}


def _gap_closed(row: BoardRow, rows: Iterable[BoardRow], metric: str) -> float | None:
    """Return the percentage of the way from source-only to oracle; rows of other seeds or with marks are no bounds."""
    bounds: dict[str, BoardRow] = {}
    for other in rows:
        spoilt = any(mark.kind not in ("oracle", "failed") for mark in other.marks)
        if (
            other.kind in ("source-only", "oracle")
            and metric in other.metrics
            and other.seeds == row.seeds
            and not spoilt
        ):
            bounds.setdefault(other.kind, other)
    if row.rank is None or len(bounds) < 2:
        return None
    low, high = (bounds[kind].metrics[metric].mean for kind in ("source-only", "oracle"))
    return 100.0 * (row.metrics[metric].mean - low) / (high - low) if high > low else None


def _place(row: BoardRow, metric: str) -> tuple[int, tuple[int, ...], int, float, str, tuple[str, ...]]:
    order = {"method": 0, "control": 3, "source-only": 4, "oracle": 5}.get(row.kind, 3)
    if row.kind == "method" and row.rank is None:
        order = 1 if row.seeds else 2
    mean = row.metrics[metric].mean if metric in row.metrics else -1.0
    track = () if row.rank is None else place(row.track or ())
    return order, track, row.rank or 0, -mean, row.label, tuple(result.run_id for result in row.results)


def _baseline_row(candidates: Sequence[BoardCandidate], seeds: Sequence[int]) -> tuple[BoardRow, ...]:
    """Build the source model's row where nobody ran ``source-only``, from the baseline that every run has scored."""
    results = []
    carriers = [c for c in candidates if not c.marks or c.marks[0].kind not in ("data", "weights")]
    there = {entry.fold for candidate in carriers for entry in candidate.entries}
    folds = sorted(there, key=lambda fold: -1 if fold is None else fold)
    for fold, seed in product(folds, seeds):
        found = [e for c in carriers for e in c.of_seeds([seed]) if e.record.baselines.get(SOURCE_ONLY)]
        entries = [entry for entry in found if fold is None or entry.fold == fold]
        if not entries:
            return ()
        scores = entries[0].record.baselines[SOURCE_ONLY]
        bare = replace(_result(entries[0], counted=True), cost={}, config_digest="")
        results.append(replace(bare, metrics={name: value for name, value in scores.items() if math.isfinite(value)}))
    if not results:
        return ()
    figures = spreads([result.metrics for result in results])
    synthetic = any(entry.record.synthetic for candidate in candidates for entry in candidate.entries)
    row = BoardRow(SOURCE_ONLY, SOURCE_ONLY, "source-only", {}, tuple(results), figures, {}, synthetic=synthetic)
    return (replace(row, track=()),)


def source_accuracy(candidates: Sequence[BoardCandidate], seeds: Sequence[int]) -> Spread | None:
    """Return the accuracy of the source models on held-out source images, over the table's seeds."""
    found: dict[tuple[int, int], float] = {}
    wanted: set[tuple[int, int]] = set()
    for candidate in candidates:
        if candidate.compared:
            for entry in candidate.of_seeds(seeds):
                place = (entry.fold or 0, entry.record.seed)
                wanted.add(place)
                value = entry.record.metrics.get("source_accuracy", math.nan)
                if math.isfinite(value):
                    found.setdefault(place, value)
    return spread([found[place] for place in sorted(wanted)]) if wanted and set(found) == wanted else None


def slug(key: TableKey) -> str:
    """Return a name for anchors and files that is readable, and unique through a digest of the whole key."""
    words = f"{key.dataset} {key.source} {key.target} {key.backbone} {key.image_size}"
    readable = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60].strip("-")
    # Later fields count where they say something, so that older tables keep their names.
    told = [(name, value) for name, value in key.__dict__.items() if value != LATER.get(name, ...)]
    return f"{readable or 'task'}-{digest(told)[:8]}"
