"""The table that ``--profile`` prints: where the time of one epoch of each phase went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.events import silent

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.events import Listener
    from sfda_kit.profiling import EpochProfile


@contextmanager
def profiled(wanted: bool, console: Console, runs_dir: Path) -> Iterator[Listener]:
    """Yield a listener that profiles an epoch of each phase, and print its tables at the end."""
    if not wanted:
        yield silent
        return
    from sfda_kit.profiling import EpochProfile

    found = EpochProfile(runs_dir)
    yield found
    show_profile(console, found)


def show_profile(console: Console, found: EpochProfile) -> None:
    """Print a table for each phase, and where its trace is."""
    from rich.table import Table

    if not found.seconds:
        console.print("There is no profile, because no epoch was computed.")
    for (phase, parts), trace in zip(found.seconds.items(), found.traces, strict=True):
        total = sum(parts.values())
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(f"an epoch of {phase}")
        table.add_column("seconds", justify="right")
        table.add_column("%", justify="right")
        for name, seconds in parts.items():
            table.add_row(name, f"{seconds:.2f}", f"{100 * seconds / total:.0f}")
        table.add_row("all of these", f"{total:.2f}", "100")
        console.print(table)
        console.print(f"trace: {trace}", soft_wrap=True, markup=False)
