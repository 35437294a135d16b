"""``sfda-kit data stats``: counts and histograms of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import flags, options

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.datasets.channel_statistics import DatasetStatistics


def stats(
    dataset: options.DatasetName,
    data_root: options.DataRoot = None,
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("stats.png"),
    modality: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all of the set.")] = None,
    number: Annotated[int, typer.Option(min=1, help="Images of each sensor for the histograms.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which images.")] = 0,
    source: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, to look at one task.")] = None,
    target: Annotated[str | None, typer.Option(help="MODALITY@DOMAIN, with --source.")] = None,
    unit: options.Unit = None,
    set_: options.Assignments = None,
    json: options.AsJson = False,
) -> None:
    """Count samples by class and domain, and draw how bright or far the images of each sensor are."""
    from sfda_kit.cli.data_look import open_to_look
    from sfda_kit.cli.output import results
    from sfda_kit.datasets.channel_statistics import draw, statistics

    given = {"dataset": dataset, "data_root": data_root, "source": source, "target": target, "unit": unit}
    with flags.json_of_error(json, status="failed", dataset=dataset):
        opened = open_to_look(flags.without_method(given, set_), modality, told=bool(source or target))
        found = statistics(opened, modality or opened.modalities, number, seed)
        draw(found, out, f"{'synthetic: ' * opened.synthetic}{opened.summary}")
    show(results(json), found)
    results(json).print(f"drawn to {out}", soft_wrap=True, markup=False)
    if json:
        flags.print_json({"status": "ok", "dataset": dataset, "synthetic": opened.synthetic, **found.as_dict()})


def show(console: Console, found: DatasetStatistics) -> None:
    """Print the table of classes by domains, then one line for each sensor."""
    from rich.markup import escape
    from rich.table import Table

    from sfda_kit.errors import printable

    table = Table("class", box=None, header_style="bold", pad_edge=False)
    for domain in (*found.domains, "all"):
        table.add_column(escape(printable(domain)), justify="right")
    for name, row in zip(found.classes, found.counts, strict=True):
        table.add_row(escape(printable(name)), *(f"{count:,}" for count in (*row, row.sum())))
    totals = found.counts.sum(axis=0)
    table.add_row("all", *(f"{count:,}" for count in (*totals, totals.sum())), style="bold")
    console.print(table)
    console.print(f"{found.groups:,} groups", markup=False)
    for one in found.histograms:
        sensor = printable(f"{one.modality}@{one.domain}")
        gaps = f", {one.missing:.2%} missing" if one.missing else ""
        line = f"{sensor}: mean {one.mean:.3g}, standard deviation {one.std:.3g} {one.unit}{gaps} ({one.images} images)"
        console.print(line, soft_wrap=True, markup=False)
