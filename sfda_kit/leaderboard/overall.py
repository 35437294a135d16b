"""Comparison of variants over several tasks: means, paired comparisons, and rank tests where there are enough tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sfda_kit.leaderboard.board import Overall, OverallRow, TaskTable, Track
from sfda_kit.leaderboard.rank_tests import rank_tests
from sfda_kit.leaderboard.ranking import Ranking, behind_best
from sfda_kit.leaderboard.statistics import Draws, compare, over_tasks, pairs_to_compare, ranks, tied
from sfda_kit.leaderboard.tracks import Rankings, place

NONE = "No two tables share two ranked variants of a track, so nothing is said over several tasks."


def build_overall(tables: Sequence[TaskTable], rankings: Mapping[str, Rankings]) -> tuple[tuple[Overall, ...], str]:
    """Return the comparison over several tables for each track, and an empty text; or nothing and the reason."""
    tracks = sorted({track for own in rankings.values() for track in own}, key=place)
    parts = [
        _of_track(track, tables, {key: own[track] for key, own in rankings.items() if track in own}) for track in tracks
    ]
    found = tuple(part for part in parts if part is not None)
    return found, "" if found else NONE


def _of_track(track: Track, tables: Sequence[TaskTable], rankings: Mapping[str, Ranking]) -> Overall | None:
    labels, blocks = complete_blocks({key: ranking.labels for key, ranking in rankings.items()})
    if not blocks:
        return None
    tasks = {table.id: f"{table.task.name} {table.task.split} {table.task.classes}" for table in tables}
    draws = over_tasks([_columns(rankings[key], labels) for key in blocks], [tasks[key] for key in blocks])
    comparisons = compare(draws, labels, pairs_to_compare(draws, labels))
    found = ranks(labels, comparisons)
    shared, behind = frozenset(tied(found)), behind_best(comparisons)
    rows = [
        OverallRow(label, float(mean), found[label], label in shared, behind.get(label))
        for label, mean in zip(labels, draws.estimate, strict=True)
    ]
    means = np.stack([_columns(rankings[key], labels).estimate for key in blocks])
    tests, note = rank_tests(means, labels)
    ordered = tuple(sorted(rows, key=lambda row: (row.rank, -row.mean, row.label)))
    return Overall(ordered, comparisons, tuple(blocks), tests, note, track)


def complete_blocks(ranked: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return labels and tables such that every label ranks in every table, with as many results as possible.
    Labels that rank in most tables are added first. Both lists are empty where no two tables share two labels."""
    tables_of: dict[str, set[str]] = {}
    for table, labels in ranked.items():
        for label in labels:
            tables_of.setdefault(label, set()).add(table)
    order = sorted(tables_of, key=lambda label: (-len(tables_of[label]), label))
    best: tuple[list[str], list[str]] = ([], [])
    common = set(ranked)
    for count, label in enumerate(order, start=1):
        common &= tables_of[label]
        if count >= 2 and len(common) >= 2 and count * len(common) > len(best[0]) * len(best[1]):
            best = (sorted(order[:count]), [table for table in ranked if table in common])
    return best


def _columns(ranking: Ranking, labels: Sequence[str]) -> Draws:
    columns = [ranking.labels.index(label) for label in labels]
    draws = ranking.draws
    return replace(draws, estimate=draws.estimate[columns], values=draws.values[:, columns])
