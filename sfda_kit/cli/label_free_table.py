"""The report of a run without labels: what each model predicts, and how the validators score it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from sfda_kit.cli.live import sparkline
from sfda_kit.cli.result_table import show_end

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.results.record import Record

MOST_CLASSES = 30
"""With more classes the histogram is a row of bars only; the record holds every count."""


def show_label_free(console: Console, record: Record) -> None:
    """Print predicted classes, figures and validator scores of source model, bridge and adapted model."""
    models: dict[str, dict[str, Any]] = record.signals["models"]
    task = record.task
    images = f"{task['images']['target-train']} images, {task['images']['ti']} pairs"
    console.print(f"{record.method}: {task['source']} -> {task['target']}, {images}, no labels", soft_wrap=True)
    if len(task["classes"]) <= MOST_CLASSES:
        console.print(_histograms(models, task["classes"]))
    console.print(_figures(models))
    console.print(_bars(models))
    if collapse := record.signals.get("alarms", {}).get("collapse"):
        text = f"{collapse}. Compare with the source model above before you use it."
        console.print(f"[yellow]notice:[/] {text}", soft_wrap=True)
    show_end(console, record)


def _table(first: str, models: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in models:
        table.add_column(name, justify="right")
    return table


def _histograms(models: dict[str, dict[str, Any]], classes: list[str]) -> Table:
    table = _table("images predicted as", models)
    for code, name in enumerate(classes):
        table.add_row(escape(name), *(str(entry["histogram"][code]) for entry in models.values()))
    return table


def _figures(models: dict[str, dict[str, Any]]) -> Table:
    table = _table("without labels", models)
    table.add_row("mean entropy (nats)", *(f"{entry['entropy']:.3f}" for entry in models.values()))
    for key, title in (
        ("source_agreement", "agrees with the source model (%)"),
        ("bridge_agreement", "agrees with the bridge (%)"),
    ):
        if key in models["adapted"]:
            table.add_row(title, *(f"{100 * entry[key]:.1f}" for entry in models.values()))
    for name in models["adapted"]["validators"]:
        scores = (_score(entry["validators"].get(name)) for entry in models.values())
        table.add_row(f"validator {escape(name)}", *scores)
    return table


def _score(score: float | None) -> str:
    return "-" if score is None else f"{round(score, 3) + 0.0:.3f}"  # no -0.000


def _bars(models: dict[str, dict[str, Any]]) -> Table:
    """Return one row for each model, because bars of many classes would not fit side by side on a terminal."""
    table = Table.grid(padding=(0, 2))
    for name, entry in models.items():
        table.add_row("predicted classes", name, sparkline(entry["histogram"]))
    return table
