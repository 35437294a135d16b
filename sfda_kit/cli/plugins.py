"""``sfda-kit plugins``: list what is installed, and what failed to load."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Installed plugins and their parts.", no_args_is_help=True)


@app.command("list")
def list_(kind: Annotated[str | None, typer.Option(help="Show one kind of part only.")] = None) -> None:
    """List plugins, their parts, and the plugins that could not be loaded."""
    from rich.table import Table

    from sfda_kit.cli.output import errors, results
    from sfda_kit.errors import UserError, did_you_mean
    from sfda_kit.plugins.discovery import installation
    from sfda_kit.plugins.registry import KINDS

    if kind and kind not in KINDS:
        raise UserError(f"Unknown kind {kind!r}. {did_you_mean(kind, KINDS)}")
    found = installation()
    table = Table("kind", "name", "from", "what it is", box=None, header_style="bold", pad_edge=False)
    for wanted in [kind] if kind else KINDS:
        for part in found.registry.of_kind(wanted):
            alias = f" (also called {part.alias})" if part.alias else ""
            table.add_row(part.kind, part.name, part.owner, part.summary + alias)
    results().print(table)
    for plugin in found.plugins:
        if plugin.error:
            errors().print(f"failed to load: {plugin.owner} {plugin.version}: {plugin.error}", markup=False)
            errors().print(f"  what to do: {plugin.remedy}", markup=False)
    for (kind_, name), owners in found.registry.conflicts.items():
        errors().print(f"conflict: the {kind_} {name!r} is claimed by {' and '.join(owners)}", markup=False)
