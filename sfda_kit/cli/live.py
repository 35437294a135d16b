"""The view of a running adaptation: bars and figures on a terminal, one line for each epoch elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from sfda_kit.cli.loudness import is_quiet
from sfda_kit.cli.output import is_interactive
from sfda_kit.events import silent

if TYPE_CHECKING:
    from sfda_kit.events import Event, Listener

BARS = "▁▂▃▄▅▆▇█"


@contextmanager
def reporting(console: Console) -> Iterator[Listener]:
    """Yield a listener for the length of a run: live on a terminal, plain lines in pipes and CI."""
    if is_quiet():
        yield silent
        return
    if not is_interactive(console):
        yield PlainReport(console)
        return
    report = LiveReport(console)
    with Live(report.view, console=console, refresh_per_second=6, transient=True) as live:
        report.live = live
        yield report


class PlainReport:
    """Prints one line for each stage and epoch."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage = ""
        self.epochs = 0
        self.terms = TermMeans()
        self.reading = ""

    def __call__(self, event: Event) -> None:
        """Print a line for the event if it needs one."""
        if event.kind == "notice":
            self.console.print(f"notice: {escape(event.data['text'])}", soft_wrap=True)
        elif event.kind == "reading" and event.data["what"] != self.reading:
            self.reading = event.data["what"]
            self.console.print(f"{escape(self.reading)}: {event.data['total']} images", soft_wrap=True)
        elif event.kind == "stage":
            self.stage, self.epochs = event.stage, event.data["epochs"]
            self.console.print(stage_line(event), soft_wrap=True)
        elif event.kind == "step":
            self.terms.add(event.data["terms"], event.data["step"])
        elif event.kind == "epoch":
            self.console.print(self._epoch_line(event), soft_wrap=True)

    def _epoch_line(self, event: Event) -> str:
        """Return figures and loss terms; a state that was not trained (``as-is``) has no epoch and no terms."""
        trained = event.stage == self.stage
        figures = [f"{shown(name)} {value:.1f} %" for name, value in event.data["figures"].items()]
        terms = [f"{name} {value:.3g}" for name, value in self.terms.means().items()] if trained else []
        count = f"{event.data['epoch'] or ''}" + (f"/{self.epochs}" if trained else "")
        name = f"{event.stage} {count}".rstrip()
        return "  ".join(["", name, *figures, *terms])


class TimeLeft(ProgressColumn):
    """Shows the time left while a bar moves, and how long it took once it is full."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return ``0:00:12 left`` or ``took 0:01:30``; the text is empty before the first estimate."""
        if task.finished:
            return Text(f"took {timedelta(seconds=int(task.finished_time or 0))}", style="dim")
        if task.time_remaining is None:
            return Text("")
        return Text(f"{timedelta(seconds=int(task.time_remaining))} left", style="cyan")


class LiveReport:
    """Shows epoch and step bars with time left, loss terms, churn and predicted-class histogram."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.terms = TermMeans()
        self.figures: dict[str, str] = {}
        self.waiting: Spinner | None = Spinner("dots", "preparing data and models ...")
        self.progress = Progress(
            TextColumn("{task.description:<9}", "bold", markup=False),
            BarColumn(None, table_column=Column(max_width=30)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeLeft(table_column=Column(no_wrap=True)),
            console=console,
        )
        self.epoch_bar = self.progress.add_task("epoch", visible=False)
        self.step_bar = self.progress.add_task("step", visible=False)
        self.steps = 1

    @property
    def view(self) -> Group:
        """What the terminal shows now; every line fits, so that nothing is left behind on redrawing."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        losses = {f"loss {name}": f"{value:.4f}" for name, value in self.terms.means().items()}
        for name, value in {**self.figures, **losses}.items():
            table.add_row(name, value)
        return Group(*([self.waiting] if self.waiting else []), self.progress, table)

    def __call__(self, event: Event) -> None:
        """Update the view with one event."""
        if event.kind in ("reading", "stage", "step", "epoch", "notice"):
            getattr(self, f"_{event.kind}")(event)
        if self.live is not None:
            self.live.update(self.view)

    def _notice(self, event: Event) -> None:
        self.console.print(f"[yellow]notice:[/] {escape(event.data['text'])}")

    def _reading(self, event: Event) -> None:
        what, done, total = (event.data[key] for key in ("what", "done", "total"))
        if self.progress.tasks[self.epoch_bar].description != what:
            self.progress.reset(self.epoch_bar, total=total, description=what)
        self.progress.update(self.epoch_bar, completed=done, visible=done < total)
        self.progress.update(self.step_bar, visible=False)

    def _stage(self, event: Event) -> None:
        data = event.data
        self.waiting = None
        self.console.print(stage_line(event))
        self.steps = data["steps"]
        total = data["epochs"] * self.steps
        self.progress.reset(self.epoch_bar, total=total, completed=data["done"] * self.steps, visible=True)
        self.progress.update(self.epoch_bar, description=event.stage)
        self.progress.reset(self.step_bar, total=self.steps, visible=True, description="epoch")
        self.terms = TermMeans()
        self.figures = {}

    def _step(self, event: Event) -> None:
        data = event.data
        self.terms.add(data["terms"], data["step"])
        if data["step"] == 0:
            self.progress.reset(self.step_bar, total=self.steps, description=f"epoch {data['epoch'] + 1}")
        self.progress.update(self.epoch_bar, completed=data["epoch"] * self.steps + data["step"] + 1)
        self.progress.update(self.step_bar, completed=data["step"] + 1)

    def _epoch(self, event: Event) -> None:
        if event.stage != self.progress.tasks[self.epoch_bar].description:
            self.terms = TermMeans()
        self.figures = {shown(name): f"{v:.1f} %" for name, v in event.data["figures"].items()}
        signals: dict[str, Any] = event.data.get("signals", {})
        if "churn" in signals:
            self.figures["pseudo-label churn"] = f"{100 * signals['churn']:.1f} %"
        if weights := [value for name, value in signals.items() if name.startswith("alpha_")]:
            self.figures["weights of source models"] = ", ".join(f"{weight:.2f}" for weight in weights)
        if "histogram" in signals:
            self.figures["predicted classes"] = sparkline(signals["histogram"])
        if signals.get("alarms"):
            self.figures["alarm"] = ", ".join(signals["alarms"])


class TermMeans:
    """Computes the mean of each loss term since the epoch began."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, terms: dict[str, float], step: int) -> None:
        """Add one step; step 0 starts a new epoch."""
        if step == 0:
            self.sums, self.count = {}, 0
        self.count += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Return the mean of each term by its name."""
        return {name: total / max(1, self.count) for name, total in self.sums.items()}


def shown(name: str) -> str:
    """Return a figure's name as people write it."""
    return name.replace("_", " ").replace("heldout", "held-out").replace("held out", "held-out")


def stage_line(event: Event) -> str:
    """Return a line about the stage that begins."""
    data = event.data
    epochs, steps = (f"{data[key]} {key.removesuffix('s') if data[key] == 1 else key}" for key in ("epochs", "steps"))
    resumed = f", continuing after epoch {data['done']}" if data["done"] else ""
    return f"{event.stage}: {epochs} of {steps}{resumed}"


def sparkline(counts: list[int]) -> str:
    """Return one bar for each class, relative to the most frequent one; a class never predicted is a dot."""
    top = max(*counts, 1)
    return "".join(BARS[min(7, 8 * count // (top + 1))] if count else "·" for count in counts)
