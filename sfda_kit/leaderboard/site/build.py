"""Building of a folder of pages from a board and its runs. The same records and plugins give the same bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.leaderboard.board import MARKS
from sfda_kit.leaderboard.site.folder import replaced
from sfda_kit.leaderboard.site.methods import MethodPage, method_pages
from sfda_kit.leaderboard.site.names import page_name
from sfda_kit.leaderboard.site.pages import Pages
from sfda_kit.leaderboard.site.shares import divide, find_places, without_collections, write_shares
from sfda_kit.leaderboard.tracks import explained

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import Board, BoardRow
    from sfda_kit.leaderboard.site.plots import Plot
    from sfda_kit.results.collection import StoredRun

FULL_TABLES = 6
"""With at most this many tables the first page also has their plots; with more only the task pages have them."""
ALONE = 500
"""Up to this many runs are written by this process alone, because others would take longer to start."""
LISTED_TABLES = 24
"""With at most this many tables the first page has them all; with more it has only the map of methods by tasks."""
WIDE_HEAT = 8
"""At most this many tasks are the columns of that map; with more they are its rows."""


class KnownRun(NamedTuple):
    """A known run has the file name of its page, without suffix, and its method."""

    page: str
    method: str


@dataclass(frozen=True)
class HeatRow:
    """A heat row holds a variant, its row in each table (None where it has none), and the means that there are."""

    label: str
    method: str
    settings: Mapping[str, str]
    rows: tuple[BoardRow | None, ...]
    means: tuple[float, ...]

    def order(self) -> tuple[float, float, str]:
        """Return a sort key: the mean of the ranks, then the mean of the metric, then the label."""
        ranks = [row.rank for row in self.rows if row and row.rank is not None]
        return (mean(ranks) if ranks else float("inf"), -mean(self.means), self.label)


def build_site(board: Board, runs: Sequence[StoredRun], out: Path) -> Path:
    """Write the site of ``board``, with a page for each of ``runs``, into the folder ``out``; return its first page.
    Raises ``UserError`` when ``out`` holds something else than a board, or cannot be written."""
    methods = method_pages(board, runs)
    named = {name: replace(method, recipe={}, rows=()) for name, method in methods.items()}
    places = find_places(board, runs)
    with replaced(out) as folder, without_collections():
        _copy_assets(folder)
        shared = {"metrics": board.metrics, "marks": MARKS, "known": _known(runs)}
        shares = divide(board, runs, places, _processes(board, runs))
        drawn = write_shares(Pages(folder, methods=named, **shared), shares)
        pages = Pages(folder, board=board, methods=methods, **shared)
        _write_board(pages, board, drawn)
        _write_methods(pages, methods.values())
        pages.write("runs.html", "runs.html", runs=runs, places=places)
    return out / "index.html"


def _processes(board: Board, runs: Sequence[StoredRun]) -> int:
    """Return how many processes write: this one alone where the first page needs the plots of all tables."""
    alone = len(runs) <= ALONE or len(board.tables) <= FULL_TABLES
    return 1 if alone else min(os.cpu_count() or 1, len(board.tables))


def _known(runs: Iterable[StoredRun]) -> dict[str, KnownRun]:
    """Return the data on each run that other pages need, by run id."""
    return {run.record.run_id: KnownRun(page_name(run.record.run_id), run.record.method) for run in runs}


def _copy_assets(folder: Path) -> None:
    with as_file(files("sfda_kit.leaderboard.site") / "assets") as assets:
        shutil.copytree(assets, folder / "assets", copy_function=shutil.copyfile)


def _write_board(pages: Pages, board: Board, drawn: Mapping[str, Sequence[Plot]]) -> None:
    from sfda_kit.leaderboard.site import plots

    overall = [(part, plots.critical_difference(part)) for part in board.overall]
    full = len(board.tables) <= FULL_TABLES
    listed = board.tables if len(board.tables) <= LISTED_TABLES else ()
    wide = len(board.tables) <= WIDE_HEAT
    shown = {"plots": drawn if full else {}, "overall": overall, "heat": _heat(board), "wide": wide}
    tracks = explained(row for table in board.tables for row in table.rows)
    pages.write("index.html", "index.html", listed=listed, tracks=tracks, **shown)


def _heat(board: Board) -> list[HeatRow]:
    """Return every variant of the board, best mean rank first; variants that never rank come last."""
    variants = {row.label: row for table in board.tables for row in table.rows if board.metric in row.metrics}
    by_table = [{row.label: row for row in table.rows} for table in board.tables]
    made = []
    for name, row in variants.items():
        rows = tuple(table.get(name) for table in by_table)
        means = tuple(one.metrics[board.metric].mean for one in rows if one and board.metric in one.metrics)
        made.append(HeatRow(name, row.method, row.settings, rows, means))
    return sorted(made, key=HeatRow.order)


def _write_methods(pages: Pages, methods: Iterable[MethodPage]) -> None:
    for method in methods:
        pages.write("method.html", f"methods/{method.page}.html", method=method)
    pages.write("methods.html", "methods.html")
