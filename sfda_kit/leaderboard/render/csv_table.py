"""The board as CSV, with one line for each row and unrounded numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from sfda_kit.leaderboard.board import Board, BoardRow, Comparison, TaskTable
from sfda_kit.leaderboard.render.words import plain
from sfda_kit.leaderboard.shuffled import VERSUS, against

COSTS = ("wall_s", "peak_memory_mb", "trained_parameters")
BOUNDS = ("difference", "low", "high", "adjusted")
OF_FOLDS = ("resampled_low", "resampled_high", "seen")
"""Further figures of a comparison over folds; the columns are there where any table of the board has folds."""
CONTROLS = dict(zip(("minus_shuffled", "minus_shuffled_within_class"), VERSUS, strict=True))
"""Comparisons with controls by the beginning of their columns, with the heads of the columns of other renderers."""
FORMULA = ("=", "+", "-", "@")


def csv_text(board: Board) -> str:
    """Return the board as CSV with a line of column names; an empty cell is a value that does not exist."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    facts = ["table", "task", "network", "synthetic", "method", "kind", "track", "rank", "tied", "seeds", "marks"]
    metrics = list(board.metrics)
    figures = [f"{name}_{part}" for name in metrics for part in ("mean", "std")]
    bounds = (*BOUNDS, *(OF_FOLDS if any(table.folds for table in board.tables) else ()))
    compared = [f"{side}_{bound}" for side in ("minus_best", "minus_source") for bound in bounds]
    rows = [row for table in board.tables for row in table.rows]
    controls = [name for name, head in CONTROLS.items() if any(against(row, head) for row in rows)]
    compared += [f"{name}_{bound}" for name in controls for bound in bounds]
    later = {"labels_a_class": "worth_labels", "pretraining": "pretraining", "configurations": "configurations"}
    told = [name for name, attribute in later.items() if any(getattr(row, attribute) for row in rows)]
    writer.writerow([*facts, *figures, *compared, "gap_closed", *told, *COSTS, "failures", "data", "sfda_kit", "torch"])
    for table in board.tables:
        for row in table.rows:
            sides = [row.versus_best, row.versus_source, *(against(row, CONTROLS[name]) for name in controls)]
            compared_cells = [_figure(side, bound) if side else None for side in sides for bound in bounds]
            later_cells = [_later(getattr(row, later[name])) for name in told]
            writer.writerow(_cells(table, row, metrics, compared_cells, later_cells))
    return file.getvalue()


def _later(value: str | int) -> object:
    return safe(value) if isinstance(value, str) else value or None


def _cells(
    table: TaskTable, row: BoardRow, metrics: Sequence[str], compared: Sequence[float | None], later: Sequence[object]
) -> list[object]:
    found = [row.metrics.get(name) for name in metrics]
    figures = [value for one in found for value in ((one.mean, one.std) if one else (None, None))]
    failures = "; ".join(f"seed {one.name} {one.status}: {one.reason}" for one in row.failures)
    return [
        table.id,
        safe(table.task.name),
        safe(table.network.name),
        table.task.synthetic,
        safe(row.label),
        row.kind,
        row.track_text,
        row.rank,
        row.tied if row.rank else None,
        " ".join(map(str, row.seeds)),
        " ".join(mark.kind for mark in row.marks),
        *figures,
        *compared,
        row.gap_closed,
        *later,
        *(row.cost.get(name) for name in COSTS),
        safe(failures),
        safe(table.task.fingerprint),
        *(safe(table.versions.get(name, "")) for name in ("sfda-kit", "torch")),
    ]


def _figure(found: Comparison, bound: str) -> float | None:
    if bound.startswith("resampled"):
        return found.resampled[bound == "resampled_high"] if found.resampled else None
    value: float | None = getattr(found, bound)
    return value


def safe(text: str) -> str:
    """Return ``text`` such that no spreadsheet takes it for a formula."""
    line = plain(text)
    return f"'{line}" if line.startswith(FORMULA) else line
