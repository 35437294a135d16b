"""``sfda-kit reproduce``: run a card again, and say whether its number is reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import completion, flags, options

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.bench.reproduce import Verdict


def reproduce(
    card: Annotated[
        str | None, typer.Argument(help="A shipped card (--list) or a YAML file.", autocompletion=completion.cards)
    ] = None,
    runs_dir: options.RunsDir = Path("runs"),
    data_root: options.DataRoot = None,
    skip_bad: options.SkipBad = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the shipped cards.")] = False,
    json: options.AsJson = False,
) -> None:
    """Run all seeds of a card and say whether its number comes out: exit code 0 inside the band, 1 outside."""
    from sfda_kit.cli.output import results
    from sfda_kit.errors import UserError

    if list_:
        show_cards(results())
        return
    if card is None:
        raise UserError("Which card? `sfda-kit reproduce --list` shows those that come with the toolkit.")
    with flags.json_of_error(json, card=card, verdict=None):
        verdict = execute(card, runs_dir, data_root, skip_bad, json)
    if json:
        flags.print_json(verdict.summary())
    raise typer.Exit(0 if verdict.inside else 1)


def execute(name: str, runs_dir: Path, data_root: Path | None, skip_bad: bool, json: bool) -> Verdict:
    """Run the missing runs of a card, one after the other, and show the verdict."""
    from rich.markup import escape

    from sfda_kit.bench.card import load_reproduction_card, runs_of
    from sfda_kit.bench.reproduce import judge
    from sfda_kit.cli.output import results
    from sfda_kit.cli.run import execute as execute_run
    from sfda_kit.runs.plan import resolve

    card = load_reproduction_card(name)
    runs = runs_of(card, data_root, skip_bad)
    for run in runs[:: len(card.seeds)]:
        resolve(run.config)  # an unknown name must stop the command before the first task
    console = results(json)
    done = []
    for number, run in enumerate(runs, start=1):
        console.rule(escape(f"run {number} of {len(runs)}: {card.method}, {run.task}, seed {run.seed}"), align="left")
        done.append((run, execute_run(run.config, runs_dir, True, json)))
    verdict = judge(card, done)
    show_verdict(console, verdict)
    return verdict


def show_verdict(console: Console, verdict: Verdict) -> None:
    """Print the number of each seed, the band, and what differs from the card."""
    from rich.markup import escape

    from sfda_kit.cli.tables import print_table, table_of

    card, band = verdict.card, verdict.card.expected
    console.rule(align="left")
    console.print(f"{escape(card.name)} ({card.kind}): {escape(card.task)}", style="bold", soft_wrap=True)
    seeds = ", ".join(f"{value:.2f}" for value in verdict.by_seed)
    console.print(f"{card.metric}: {verdict.mean:.2f} % (seeds {seeds})", soft_wrap=True)
    console.print(f"expected: {band.mean:.2f} %, from {band.low:.2f} to {band.high:.2f} ({escape(card.source.text)})")
    if verdict.differences:
        table = table_of("differs from the card", "card", "here")
        for difference in verdict.differences:
            table.add_row(*map(escape, difference))
        print_table(console, table)
    elif card.kind == "measured":
        console.print("nothing that the card knows of differs")
    said = "[green]inside the band[/]" if verdict.inside else "[red]outside the band[/]"
    console.print(f"verdict: {said}")


def show_cards(console: Console) -> None:
    """Print name, kind, expected number and number of runs of every shipped card, below its task."""
    from rich.markup import escape

    from sfda_kit.bench.card import load_reproduction_card, shipped_cards
    from sfda_kit.cli.tables import print_table, table_of

    table = table_of("card", "kind", "expected %", "runs")
    cards = {name: load_reproduction_card(name) for name in shipped_cards()}
    for task in dict.fromkeys(card.task for card in cards.values()):
        table.add_section()
        table.add_row(f"[italic]{escape(task)}[/]")
        for name, card in cards.items():
            if card.task == task:
                runs = str(len(card.tasks) * len(card.seeds))
                table.add_row(f"  {name}", card.kind, f"{card.expected.mean:.1f}", runs)
    print_table(console, table)
