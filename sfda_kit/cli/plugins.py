"""``sfda-kit plugins``: what is installed, what failed to load, and where parts differ from their papers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import completion, plugins_check, plugins_new, plugins_show
from sfda_kit.cli.groups import Command

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component
    from sfda_kit.plugins.discovery import Installation
    from sfda_kit.plugins.faults import Fault

app = typer.Typer(help="Installed plugins and their parts.", no_args_is_help=True)
app.command("new", cls=Command, epilog=plugins_new.EXAMPLES)(plugins_new.new)
app.command("show")(plugins_show.show)
app.command("check")(plugins_check.check)


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Option(help="Show one kind of part only.", autocompletion=completion.kinds)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List plugins, their parts, and the plugins that could not be loaded."""
    from sfda_kit.cli.output import errors
    from sfda_kit.errors import UserError, did_you_mean
    from sfda_kit.plugins.discovery import installation
    from sfda_kit.plugins.faults import faults_at_load
    from sfda_kit.plugins.hookspecs import KINDS

    if kind and kind not in KINDS:
        raise UserError(f"Unknown kind {kind!r}. {did_you_mean(kind, KINDS)}")
    found = installation()
    parts = [part for wanted in ([kind] if kind else KINDS) for part in found.registry.of_kind(wanted)]
    faults = list(faults_at_load(found))
    if json_:
        _print_json(found, parts, faults)
        return
    _print_table(parts)
    for fault in faults:
        errors().print(str(fault), markup=False, soft_wrap=True)
        if fault.remedy:
            errors().print(f"  what to do: {fault.remedy}", markup=False, soft_wrap=True)


def _print_table(parts: Sequence[Component]) -> None:
    from sfda_kit.cli.output import results
    from sfda_kit.cli.tables import print_table, table_of

    table = table_of("kind", "name", "from", "what it is")
    table.columns[1].no_wrap = table.columns[2].no_wrap = True
    for part in parts:
        alias = f" (also called {part.alias})" if part.alias else ""
        table.add_row(part.kind, part.name, part.owner, part.summary + alias)
    print_table(results(), table)


def _print_json(found: Installation, parts: Sequence[Component], faults: Sequence[Fault]) -> None:
    from dataclasses import asdict

    keys = ("kind", "name", "alias", "owner", "version", "summary", "paper")
    told = {
        "plugins": plugins_check.plugins_as_data(found),
        "parts": [{key: getattr(part, key) for key in keys} for part in parts],
        "faults": [asdict(fault) for fault in faults],
    }
    typer.echo(json.dumps(told, indent=1))


@app.command()
def deviations() -> None:
    """Print where installed parts differ from their papers or their authors' code, as a table in Markdown."""
    from sfda_kit.plugins.deviations import deviations_table
    from sfda_kit.plugins.discovery import registry

    typer.echo(deviations_table(registry()), nl=False)
