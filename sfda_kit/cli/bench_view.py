"""The view of a running suite: live on a terminal, one line for each cell elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sfda_kit.cli.loudness import is_quiet
from sfda_kit.cli.output import is_interactive
from sfda_kit.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from sfda_kit.bench.cells import ResolvedCell, State
    from sfda_kit.bench.progress import Progress
    from sfda_kit.bench.suite import Suite
    from sfda_kit.results.record import Record

MESSAGE = re.compile(r"[\w.]*(Error|Exception|Interrupt): ")
"""The start of an exception's message as Python prints it."""
STATES: dict[State, str] = {
    "done": "green",
    "failed": "red",
    "skipped": "yellow",
    "unfinished": "cyan",
    "missing": "dim",
    "damaged": "magenta",
}


@contextmanager
def watching(console: Console, workers: int) -> Iterator[Callable[[Progress, ResolvedCell | None], None]]:
    """Yield a listener for ``run_cells`` that prints each ended cell and, on a terminal, shows the suite below."""
    if is_quiet():
        yield lambda *_: None
        return
    view = SuiteView(workers)

    def tell(progress: Progress, cell: ResolvedCell | None) -> None:
        view.progress = progress
        if cell is None:
            console.print(begins(progress), soft_wrap=True)
        else:
            console.print(ended_line(progress, cell), soft_wrap=True)

    if not is_interactive(console):
        yield tell
        return
    with Live(console=console, get_renderable=view.renderable, refresh_per_second=2, transient=True):
        yield tell


class SuiteView:
    """Shows done, running and failed cells and the time left of the whole suite."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.progress: Progress | None = None

    def renderable(self) -> RenderableType:
        """Return what the terminal shows now."""
        if self.progress is None:
            return Text("preparing ...", style="dim")
        return Group(self._bar(self.progress), self._running(self.progress))

    def _bar(self, progress: Progress) -> Table:
        total, left = len(progress.todo), len(progress.left())
        seconds = progress.seconds_left(self.workers)
        line = Table.grid(padding=(0, 2))
        about = "" if seconds is None else f"about {timedelta(seconds=round(seconds))} left"
        bar = ProgressBar(total=max(1, total), completed=total - left, width=30)
        line.add_row(bar, f"{total - left}/{total}", counts(progress.count()), f"[cyan]{about}[/]")
        return line

    def _running(self, progress: Progress) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True)
        for name, event in sorted(progress.running().items()):
            table.add_row(Text(name), Text(stage_of(event), style="dim"))
        return table


def begins(progress: Progress) -> str:
    """Return the line before the first cell."""
    where = str(progress.runs_dir)
    line = f"{len(progress.cells)} cells: {counts(progress.count())}; {len(progress.todo)} to run in {escape(where)}"
    return "\n".join([line, *map(escape, damaged(progress))])


def damaged(progress: Progress) -> list[str]:
    """Return what is wrong with each damaged run and what to do."""
    cells = [cell for cell in progress.cells if progress.states[cell.key] == "damaged"]
    advice = "`sfda-kit bench run` makes the run again."
    return [f"{cell.cell.name}: {cell.damage(progress.runs_dir)} {advice}" for cell in cells]


def counts(found: Counter[State]) -> str:
    """Return the counts as coloured text: ``12 done, 1 failed``."""
    return ", ".join(f"[{colour}]{found[state]} {state}[/]" for state, colour in STATES.items() if found[state])


def ended_line(progress: Progress, cell: ResolvedCell) -> str:
    """Return one line for a cell that has ended."""
    record = progress.ended[cell.key]
    place = f"{len(progress.ended)}/{len(progress.todo)}"
    return f"{place} {escape(cell.cell.name)}: {verdict(record)}"


def verdict(record: Record) -> str:
    """Return the accuracies of a run, or why there are none."""
    if record.status == "ok":
        part = "held out" if "heldout_accuracy" in record.metrics else "transductive"
        over_classes = _score(record, "mean_class_accuracy")
        classes = "" if over_classes is None else f", mean over classes {over_classes:.1f} %"
        return f"{part} {_score(record, 'accuracy'):.1f} %{classes}, {record.cost['wall_s']:.0f} s"
    return f"[red]{record.status.replace('_', ' ')}[/]: {escape(reason(record.error))}"


def show_status(console: Console, progress: Progress, suite: Suite) -> None:
    """Print one table for each task and network, then the reasons of failed and skipped cells."""
    for task, model in product(suite.tasks, suite.models):
        here = [cell for cell in progress.cells if (cell.cell.task, cell.cell.model) == (task, model)]
        if here:
            console.print(f"[bold]{escape(task)}[/], {escape(model)}", soft_wrap=True)
            print_table(console, _states(progress, here))
    for text in damaged(progress):
        console.print(text, soft_wrap=True, markup=False)
    for (method, reason), number in _reasons(progress).items():
        console.print(f"{escape(method)}, {number} of its cells: {escape(reason)}", soft_wrap=True)
    console.print(f"{counts(progress.count())}. {_next(progress, suite)}", soft_wrap=True)


def _states(progress: Progress, cells: Sequence[ResolvedCell]) -> Table:
    """Return a table with a row for each method, or configuration of it, that has cells here."""
    table = table_of("method", "cells")
    is_paper = all(cell.cell.config.dataset.protocol == "paper" for cell in cells)
    table.add_column("transductive" if is_paper else "held out", justify="right")
    table.add_column("mean over classes", justify="right")
    for row in dict.fromkeys(cell.cell.row for cell in cells):
        own = [cell for cell in cells if cell.cell.row == row]
        means = [_mean(progress, own, name) for name in ("accuracy", "mean_class_accuracy")]
        table.add_row(escape(row), counts(Counter(progress.states[c.key] for c in own)), *means)
    return table


def _reasons(progress: Progress) -> Counter[tuple[str, str]]:
    """Count the failed and skipped cells by method and reason."""
    found: Counter[tuple[str, str]] = Counter()
    for cell in progress.cells:
        if progress.states[cell.key] in ("failed", "skipped"):
            record = cell.record(progress.runs_dir)
            found[cell.cell.row, reason(record.error if record else cell.reason)] += 1
    return found


def _mean(progress: Progress, cells: Sequence[ResolvedCell], name: str) -> str:
    records = [cell.record(progress.runs_dir) for cell in cells if progress.states[cell.key] == "done"]
    values = [value for record in records if record and (value := _score(record, name)) is not None]
    return f"{mean(values):.1f} %" if values else ""


def _score(record: Record, name: str) -> float | None:
    """Return a score of held-out images; where nothing is held out (``paper``), return the transductive one."""
    return record.metrics.get(f"heldout_{name}", record.metrics.get(f"transductive_{name}"))


def _next(progress: Progress, suite: Suite) -> str:
    if progress.count()["done"]:
        return f"The table: sfda-kit leaderboard show {escape(str(progress.runs_dir))}"
    return f"Nothing of {escape(suite.name)} has ended well yet."


def reason(text: str) -> str:
    """Return what was wrong on one line: the whole message without a traceback or warnings before it."""
    lines = text.strip().splitlines() or ["no reason is known"]
    start = max((number for number, line in enumerate(lines) if MESSAGE.match(line)), default=0)
    return " ".join(line.strip() for line in lines[start:])


def stage_of(event: dict[str, Any]) -> str:
    """Return the stage and epoch of a running cell in words."""
    if event["kind"] == "run":
        return "begins"
    epochs = f" of {event['epochs']}" if event["kind"] == "stage" else ""
    return f"{event['stage']}, epoch {event.get('epoch', event.get('done', 0))}{epochs}"
