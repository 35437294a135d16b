"""A bar that shows how far a run is, for programs and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from sfda_kit.events import Event, Listener


@contextmanager
def progress_bar() -> Iterator[Listener]:
    """Yield a listener that shows one bar for each stage of a run, and its notices above them, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        yield Bars(progress)


class Bars:
    """Turns events into bars of ``progress``, whose unit is a step of training."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.steps = 0

    def __call__(self, event: Event) -> None:
        """Begin a bar for a stage, and move it with each step."""
        data = event.data
        if event.kind == "notice":
            self.progress.console.print(f"notice: {data['text']}", markup=False, soft_wrap=True)
        elif event.kind == "stage":
            self.steps = data["steps"]
            total, done = data["epochs"] * self.steps, data["done"] * self.steps
            self.bar = self.progress.add_task(event.stage, total=total, completed=done)
        elif event.kind == "step":
            self.progress.update(self.bar, completed=data["epoch"] * self.steps + data["step"] + 1)
