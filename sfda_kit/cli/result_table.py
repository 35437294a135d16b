"""The report of a finished run: accuracies, costs, and where files were written."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from sfda_kit.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.results.record import Record

PARTS = {"heldout": "held out", "transductive": "transductive"}
SCORES = {"mean_class_accuracy": "mean over classes", "accuracy": "plain", "auroc": "AUROC"}
"""The scores of each part. The mean over classes leads, because plain accuracy rewards answers of frequent classes."""


def show_record(console: Console, record: Record) -> None:
    """Print scores in percent by part, transductive and held out: mean over classes, plain accuracy and AUROC."""
    task = record.task
    synthetic = " (synthetic)" if record.synthetic else ""
    title = f"{record.method}: {task['dataset']}{synthetic}, {task['source']} -> {task['target']}"
    console.print(escape(title), style="bold", soft_wrap=True)
    rows = {**record.baselines, record.method: record.metrics}
    parts = {part: name for part, name in PARTS.items() if f"{part}_accuracy" in record.metrics}
    table = table_of("in %", *(["part"] if len(parts) > 1 else []))
    for name in SCORES.values():
        table.add_column(name, justify="right", no_wrap=True)
    for part, shown in parts.items():
        for name, scores in rows.items():
            cells = [f"{value:.1f}" if (value := scores.get(f"{part}_{one}")) is not None else "" for one in SCORES]
            table.add_row(name, *([shown] if len(parts) > 1 else []), *cells)
    print_table(console, table)
    if record.oracle:
        console.print("trained with target labels: an upper bound that never ranks")
    source = record.metrics.get("source_accuracy")
    if source is not None:
        console.print(f"source model on held-out source images: {source:.1f} %")
    show_end(console, record)


def show_end(console: Console, record: Record) -> None:
    """Print how the result was chosen, what it cost and where it is."""
    show_mixture(console, record)
    show_selection(console, record)
    cost = record.cost
    took = f"{cost['wall_s']:.0f} s, {cost['peak_memory_mb']:.0f} MiB"
    console.print(f"{took}, {cost['trained_parameters']:,.0f} parameters trained")
    console.print(f"written to {escape(record.run_dir)}", soft_wrap=True)


def show_next(console: Console, record: Record) -> None:
    """Print the commands that go on from a finished run."""
    run = shlex.quote(record.run_dir)
    has_model = (Path(record.run_dir) / "model").is_dir()  # a control may leave none
    commands = [f"predict IMAGES --run {run}", f"export --run {run}"] if has_model else []
    if record.metrics:
        commands.append(f"leaderboard show {shlex.quote(str(Path(record.run_dir).parent))}")
    if commands:
        console.print("next:")
    for command in commands:
        console.print(f"  sfda-kit {command}", soft_wrap=True, markup=False)


def show_mixture(console: Console, record: Record) -> None:
    """Print the learned weights of several source models, in the order of their cards."""
    if weights := record.source.get("mixing"):
        shown = ", ".join(f"{weight:.2f}" for weight in weights)
        console.print(f"source models mixed with weights {shown}", soft_wrap=True)


def show_selection(console: Console, record: Record) -> None:
    """Print the scores of the last, chosen and best epoch where they may differ, and what a collapse led to."""
    found, monitor = record.selection, record.monitor
    if found is None or monitor is None:
        return
    chosen = f"{found.chosen_phase} {found.chosen_epoch}"
    name = "heldout_accuracy"
    if found.oracle and found.regret is not None and found.chosen != found.last:
        oracle = f"{found.oracle.phase} {found.oracle.epoch}"
        console.print(
            f"plain accuracy, held out, last epoch: {found.last[name]:.1f}; chosen by {found.validator} ({chosen}): "
            f"{found.chosen[name]:.1f}; best ({oracle}, known by labels alone): {found.oracle.metrics[name]:.1f}",
            soft_wrap=True,
        )
    if found.applied or monitor.stopped:
        console.print(f"the result is {found.result_phase} {found.result_epoch}", soft_wrap=True)
    if found.vetoed:
        epochs = ", ".join(f"{epoch.phase} {epoch.epoch}" for epoch in found.vetoed)
        left_out = f"{found.validator} scores these collapsed epochs higher; they are left out"
        console.print(f"{left_out if found.applied else 'collapsed epochs'}: {epochs}", soft_wrap=True)
