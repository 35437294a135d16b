"""``sfda-kit plugins``: what is installed, what failed to load, and where parts differ from their papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.plugins.registry import Component

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


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a part, for example nrc.")],
    kind: Annotated[str | None, typer.Option(help="The kind of part, where several have this name.")] = None,
) -> None:
    """Show one part: its paper, its presets, and where it differs from its authors' code."""
    from sfda_kit.cli.output import results
    from sfda_kit.plugins.discovery import registry
    from sfda_kit.plugins.registry import KINDS

    kinds = [wanted for wanted in KINDS if name in registry().names(wanted)] or ["method"]
    for wanted in [kind] if kind else kinds:
        _show(registry().get(wanted, name), results())


def _show(part: Component, console: Console) -> None:
    from sfda_kit.config.presets import load_preset, preset_names

    console.print(f"{part.kind} {part.name}, from {part.owner}: {part.summary}", markup=False)
    if part.paper:
        console.print(f"paper: {part.paper}", markup=False)
    for preset in preset_names(part):
        found = load_preset(part, preset)
        console.print(f"preset {preset}: {found.summary}", markup=False)
        console.print(f"  from {found.origin}", markup=False)
        for note in found.notes.splitlines():
            console.print(f"  {note}", markup=False)
    for deviation in part.deviations:
        console.print(f"deviation, {deviation.of}", markup=False)
        for key in ("theirs", "ours", "why", "effect"):
            console.print(f"  {key}: {getattr(deviation, key)}", markup=False)


@app.command()
def deviations() -> None:
    """Print where installed parts differ from their papers or their authors' code, as a table in Markdown."""
    from sfda_kit.plugins.deviations import deviations_table
    from sfda_kit.plugins.discovery import registry

    typer.echo(deviations_table(registry()), nl=False)
