"""Building of a folder of pages from a board and its runs. The same records and plugins give the same bytes."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.leaderboard.board import MARKS
from sfda_kit.leaderboard.site.folder import replaced
from sfda_kit.leaderboard.site.methods import MethodPage, method_pages
from sfda_kit.leaderboard.site.names import page_name
from sfda_kit.leaderboard.site.pages import Pages

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import Board, BoardRow, TaskTable
    from sfda_kit.leaderboard.site.plots import Plot
    from sfda_kit.results.collection import StoredRun

FULL_TABLES = 6
"""With at most this many tables the first page also has their plots; with more only the task pages have them."""
LISTED_TABLES = 24
"""With at most this many tables the first page has them all; with more it has only the map of methods by tasks."""
WIDE_HEAT = 8
"""At most this many tasks are the columns of that map; with more they are its rows."""


@dataclass(frozen=True)
class RunPlace:
    """A place is the table and the row of a run on the board."""

    table: TaskTable
    row: BoardRow


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
    with replaced(out) as folder, without_collections():
        _copy_assets(folder)
        pages = Pages(folder, board=board, metrics=board.metrics, marks=MARKS, methods=methods, known=_known(runs))
        _write_board(pages, board, runs)
        _write_methods(pages, methods.values())
        _write_runs(pages, board, runs)
    return out / "index.html"


@contextmanager
def without_collections() -> Iterator[None]:
    """Turn garbage collection off; it would visit all records repeatedly, a fifth of the time for ten thousand."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _known(runs: Iterable[StoredRun]) -> dict[str, KnownRun]:
    """Return the data on each run that other pages need, by run id."""
    return {run.record.run_id: KnownRun(page_name(run.record.run_id), run.record.method) for run in runs}


def _copy_assets(folder: Path) -> None:
    with as_file(files("sfda_kit.leaderboard.site") / "assets") as assets:
        shutil.copytree(assets, folder / "assets", copy_function=shutil.copyfile)


def _write_board(pages: Pages, board: Board, runs: Sequence[StoredRun]) -> None:
    from sfda_kit.leaderboard.site import plots

    by_id = {run.record.run_id: run for run in runs}
    drawn: dict[str, list[Plot]] = {}
    for table in board.tables:
        found = (plots.pareto(table), plots.learning_curves(table, by_id))
        drawn[table.id] = [plot for plot in found if plot]
        pages.write("task.html", f"tasks/{table.id}.html", table=table, plots=drawn[table.id])
    diagram = plots.critical_difference(board.overall) if board.overall else None
    full = len(board.tables) <= FULL_TABLES
    listed = board.tables if len(board.tables) <= LISTED_TABLES else ()
    wide = len(board.tables) <= WIDE_HEAT
    shown = {"plots": drawn if full else {}, "diagram": diagram, "heat": _heat(board), "wide": wide}
    pages.write("index.html", "index.html", listed=listed, **shown)


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


def _write_runs(pages: Pages, board: Board, runs: Sequence[StoredRun]) -> None:
    from sfda_kit.leaderboard.site.run_page import prepare

    places = _places(board, runs)
    pages.write("runs.html", "runs.html", runs=runs, places=places)
    for run in runs:
        page = prepare(run, pages.folder)
        place = places.get(run.record.run_id)
        pages.write("run.html", f"runs/{page.page}.html", page=page, record=run.record, place=place)


def _places(board: Board, runs: Sequence[StoredRun]) -> Mapping[str, RunPlace]:
    """Return table and row by run id; runs of other methods do not own a source-only row made from their baselines."""
    methods = {run.record.run_id: run.record.method for run in runs}
    return {
        result.run_id: RunPlace(table, row)
        for table in board.tables
        for row in table.rows
        for result in row.results
        if methods.get(result.run_id) == row.method
    }
