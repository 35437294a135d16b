"""The pages of tables and runs in shares, which processes write beside each other. Any number gives the same bytes."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.errors import RunError

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import Board, BoardRow, TaskTable
    from sfda_kit.leaderboard.site.pages import Pages
    from sfda_kit.leaderboard.site.plots import Plot
    from sfda_kit.results.collection import StoredRun


DISK_FULL = errno.ENOSPC
"""The exit code of a process that could not write because the disk is full."""


class RunPlace(NamedTuple):
    """A place is the table and the row of a run on the board."""

    table: TaskTable
    row: BoardRow


@dataclass(frozen=True)
class Share:
    """A share holds tables, and the runs whose pages belong with them; ``places``: those of its runs by run id."""

    tables: Sequence[TaskTable]
    runs: Sequence[StoredRun]
    places: Mapping[str, RunPlace]


def find_places(board: Board, runs: Iterable[StoredRun]) -> dict[str, RunPlace]:
    """Return table and row by run id; runs of other methods do not own a source-only row made from their baselines.

    A run that is in several rows of its method belongs to the row that was chosen among the configurations.
    """
    methods = {run.record.run_id: run.record.method for run in runs}
    found: dict[str, RunPlace] = {}
    for table in board.tables:
        for row in table.rows:
            for result in row.results:
                if methods.get(result.run_id) == row.method and not (row.tuned and result.run_id in found):
                    found[result.run_id] = RunPlace(table, row)
    return found


def divide(board: Board, runs: Sequence[StoredRun], places: Mapping[str, RunPlace], count: int) -> list[Share]:
    """Return ``count`` shares. A table and its runs stay together."""
    owner = {id(table): number % count for number, table in enumerate(board.tables)}
    own: list[list[StoredRun]] = [[] for _ in range(count)]
    for number, run in enumerate(runs):
        place = places.get(run.record.run_id)
        own[owner[id(place.table)] if place else number % count].append(run)
    return [
        Share(
            board.tables[number::count],
            mine,
            {run.record.run_id: places[run.record.run_id] for run in mine if run.record.run_id in places},
        )
        for number, mine in enumerate(own)
    ]


def write_shares(pages: Pages, shares: Sequence[Share]) -> dict[str, list[Plot]]:
    """Write the pages of all shares, the first one in this process; return the plots of its tables alone, by the
    table's id. Raises ``RunError`` where another process stops."""
    others = [_start(pages, share) for share in shares[1:]]
    try:
        drawn = write_share(pages, shares[0])
        for process in others:
            _end(process)
    finally:
        for process in others:
            process.kill()
            process.communicate()
    return drawn


def write_share(pages: Pages, share: Share) -> dict[str, list[Plot]]:
    """Write the pages of one share and return the plots of its tables, by the table's id."""
    from sfda_kit.leaderboard.site import plots
    from sfda_kit.leaderboard.site.run_page import prepare

    by_id = {run.record.run_id: run for run in share.runs}
    drawn: dict[str, list[Plot]] = {}
    for table in share.tables:
        found = (plots.pareto(table), plots.learning_curves(table, by_id))
        drawn[table.id] = [plot for plot in found if plot]
        pages.write("task.html", f"tasks/{table.id}.html", table=table, plots=drawn[table.id])
    for run in share.runs:
        page = prepare(run, pages.folder)
        place = share.places.get(run.record.run_id)
        pages.write("run.html", f"runs/{page.page}.html", page=page, record=run.record, place=place)
    return drawn


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


def _start(pages: Pages, share: Share) -> subprocess.Popen[bytes]:
    """Start a plain child, which unlike multiprocessing works from any script, notebook or thread."""
    search = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "sfda_kit.leaderboard.site.worker"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": search},
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # the process died before it read its share: its exit code says so
        pickle.dump((pages.folder.absolute(), pages.shared, share), process.stdin)
        process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a child, whose standard input must stay open until then."""
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    if process.wait() == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if process.returncode:
        raise RunError(f"A process that writes pages stopped: {said[-800:] or f'exit code {process.returncode}'}")
