"""``sfda-kit plugins``: what is installed, what failed to load, and where parts differ from their papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sfda_kit.cli import completion

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component
    from sfda_kit.plugins.discovery import Installation

app = typer.Typer(help="Installed plugins and their parts.", no_args_is_help=True)


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Option(help="Show one kind of part only.", autocompletion=completion.kinds)
    ] = None,
) -> None:
    """List plugins, their parts, and the plugins that could not be loaded."""
    from sfda_kit.cli.output import errors, results
    from sfda_kit.cli.tables import print_table, table_of
    from sfda_kit.errors import UserError, did_you_mean
    from sfda_kit.plugins.discovery import installation
    from sfda_kit.plugins.hookspecs import KINDS

    if kind and kind not in KINDS:
        raise UserError(f"Unknown kind {kind!r}. {did_you_mean(kind, KINDS)}")
    found = installation()
    table = table_of("kind", "name", "from", "what it is")
    table.columns[1].no_wrap = table.columns[2].no_wrap = True
    for wanted in [kind] if kind else KINDS:
        for part in found.registry.of_kind(wanted):
            alias = f" (also called {part.alias})" if part.alias else ""
            table.add_row(part.kind, part.name, part.owner, part.summary + alias)
    print_table(results(), table)
    for line in _problems(found):
        errors().print(line, markup=False, soft_wrap=True)


def _problems(found: Installation) -> Iterator[str]:
    for plugin in found.failed:
        yield f"failed to load: {plugin.owner} {plugin.version}: {plugin.error}"
        yield f"  what to do: {plugin.remedy}"
    for clash in found.registry.clashes.values():
        yield f"one name twice: {clash}"
    for plugin in found.plugins:
        if plugin.is_slow:
            yield (
                f"slow: {plugin.owner} takes {plugin.seconds:.1f} s to load, which delays every command; its module "
                "should import torch and the like only where a part is used"
            )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a part, for example nrc.", autocompletion=completion.any_part)],
    kind: Annotated[
        str | None,
        typer.Option(help="The kind of part, where several have this name.", autocompletion=completion.kinds),
    ] = None,
) -> None:
    """Show one part: its paper, its presets, and where it differs from its authors' code."""
    from sfda_kit.plugins.discovery import registry
    from sfda_kit.plugins.hookspecs import KINDS

    kinds = [wanted for wanted in KINDS if name in registry().names(wanted)] or ["method"]
    for wanted in [kind] if kind else kinds:
        typer.echo("\n".join(_described(registry().get(wanted, name))))


def _described(part: Component) -> Iterator[str]:
    from sfda_kit.config.presets import load_preset, preset_names

    yield f"{part.kind} {part.name}, from {part.owner}: {part.summary}"
    if part.paper:
        yield f"paper: {part.paper}"
    for name in preset_names(part):
        preset = load_preset(part, name)
        yield f"preset {name}: {preset.summary}"
        yield from (f"  {line}" for line in (f"from {preset.origin}", *preset.notes.splitlines()))
    for deviation in part.deviations:
        yield f"deviation, {deviation.of}"
        yield from (f"  {key}: {getattr(deviation, key)}" for key in ("theirs", "ours", "why", "effect"))


@app.command()
def deviations() -> None:
    """Print where installed parts differ from their papers or their authors' code, as a table in Markdown."""
    from sfda_kit.plugins.deviations import deviations_table
    from sfda_kit.plugins.discovery import registry

    typer.echo(deviations_table(registry()), nl=False)
