"""How many labels a class a score is worth: the numbers of labels with which ``probe`` reaches it, interpolated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sfda_kit.leaderboard.board import BoardRow
from sfda_kit.leaderboard.comparable import BoardCandidate
from sfda_kit.leaderboard.entries import mapping

PROBE = "probe"
DEFAULT_LABELS = 5
"""The option ``labels`` of ``probe`` where the recipe of a record does not hold it."""
EXPLAINED = (
    "Labels a class: the target labels of each class with which probe reaches the score, between its rows on a "
    "logarithmic scale."
)


def with_label_worth(
    rows: Sequence[BoardRow], candidates: Iterable[BoardCandidate], metric: str
) -> tuple[BoardRow, ...]:
    """Return ``rows``, and in those of methods and of the source model how many labels they are worth.

    A row of ``probe`` counts that has the seeds and folds of the other row and no mark that forbids comparing it.
    """
    labels = {one.variant.label: labels_of(one) for one in candidates if one.variant.method == PROBE}
    probes = [row for row in rows if row.label in labels and metric in row.metrics and _is_sound(row)]

    def valued(row: BoardRow) -> BoardRow:
        same = [one for one in probes if (one.seeds, one.folds) == (row.seeds, row.folds)]
        if row.kind not in ("method", "source-only") or metric not in row.metrics or not same or not row.seeds:
            return row
        points = {labels[one.label]: one.metrics[metric].mean for one in same}
        return replace(row, worth_labels=worth(row.metrics[metric].mean, points))

    return tuple(map(valued, rows))


def _is_sound(row: BoardRow) -> bool:
    return bool(row.seeds) and all(mark.kind in ("control", "oracle", "failed") for mark in row.marks)


def labels_of(candidate: BoardCandidate) -> int:
    """Return the labels of each class that the probe of ``candidate`` had."""
    found = mapping(candidate.entries[0].record.recipe.get("options")).get("labels", DEFAULT_LABELS)
    return found if isinstance(found, int) and found > 0 else DEFAULT_LABELS


def worth(score: float, points: Mapping[int, float]) -> str:
    """Return the number of labels at which the curve through ``points`` (labels -> score) first reaches ``score``.

    Scores are interpolated linearly in the logarithm of the labels. ``< 1`` or ``> 20``: outside of the points.
    """
    counts = sorted(points)
    if score < points[counts[0]]:
        return f"< {counts[0]}"
    before = counts[0]
    for count in counts:
        if points[count] >= score:
            low, high = points[before], points[count]
            share = (score - low) / (high - low) if high > low else 0.0
            found = math.exp(math.log(before) + share * math.log(count / before))
            return f"{found:.1f}" if found < 10 else f"{found:.0f}"
        before = count
    return f"> {counts[-1]}"
