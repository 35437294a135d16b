"""The table that ``--memory`` prints: what each stage of a run takes, and what this computer has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfda_kit.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.config.models import RunConfig
    from sfda_kit.runs.memory import StageMemory


def show_memory(console: Console, config: RunConfig) -> list[dict[str, Any]]:
    """Measure what a run takes and print it. Nothing is trained or kept. Returns the rows of the table."""
    from sfda_kit.device import choose_device, free_memory
    from sfda_kit.runs.labelled import memory_of_run
    from sfda_kit.runs.memory import BATCHES
    from sfda_kit.runs.plan import plan_run

    table = table_of("stage", "batch", "MiB", "images, MiB", "largest batch", "its setting")
    for column in table.columns[1:5]:
        column.justify = "right"
    table.columns[5].no_wrap = True
    found: list[StageMemory] = []
    with console.status("making the first steps of each stage"):
        for one in memory_of_run(plan_run(config)):
            found.append(one)
            peak = "does not fit" if one.peak is None else f"{one.peak:,.0f}"
            largest = "none" if one.largest is None else "" if one.stage == "passes" else f"{one.largest:,}"
            table.add_row(one.stage, str(one.batch), peak, f"{one.images:,.0f}", largest, BATCHES[one.stage][0])
    print_table(console, table)
    device = choose_device(config.compute)
    console.print(f"free for a process on this {device.type}: {free_memory(device) / 2**20:,.0f} MiB")
    peaks = [one.peak + one.images for one in found if one.peak is not None]
    if len(peaks) == len(found):
        console.print(f"the run takes about {max(peaks):,.0f} MiB, mapped images included")
    return [vars(one) for one in found]
