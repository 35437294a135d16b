"""``sfda-kit plugins new``: write a complete plugin into a new folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli.groups import OptionGroup, takes_options
from sfda_kit.scaffold.kinds import PART_KINDS

if TYPE_CHECKING:
    from sfda_kit.scaffold.new_plugin import NewPlugin

EXAMPLES = """Examples:
sfda-kit plugins new my-sfda --aligner margin --method margin
sfda-kit plugins new my-cameras --dataset two-cameras --encoding log-depth --author 'A. Person'
"""


def _part_option(kind: str) -> Any:
    name = "Name of the method, or the YAML file of one" if kind == "method" else f"Name of the {kind}"
    about = f"{name}. It begins as: {PART_KINDS[kind].summary}."
    return Annotated[list[str] | None, typer.Option(f"--{kind}", metavar="PART", help=about)]


_FLAGS = {kind: _part_option(kind) for kind in PART_KINDS}
_PANEL = "Parts (each flag may be given several times)"
_PARTS: Any = type("PartsByKind", (OptionGroup,), {"panel": _PANEL, "__annotations__": _FLAGS})


class _Name(OptionGroup):
    panel = "Arguments"
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the distribution, as pip will know it.")] = ...  # type: ignore[assignment]


class NewOptions(_Name, _PARTS):
    panel = "Options"
    out: Annotated[Path | None, typer.Option(help="Folder to write, which must be new; default: NAME.")] = None
    author: Annotated[str | None, typer.Option(help="Holder of the copyright; default: the authors of NAME.")] = None


@takes_options
def new(chosen: NewOptions) -> None:
    """Write a complete plugin into a new folder: parts that work, their tests, and all that pip needs.

    Name one part at least. Without any, the command asks.
    """
    from sfda_kit.scaffold.new_plugin import new_plugin
    from sfda_kit.scaffold.writing import write_plugin

    given = {kind: names for kind in PART_KINDS if (names := getattr(chosen, kind))}
    plugin = new_plugin(chosen.name, given or (_asked() if sys.stdin.isatty() else {}), chosen.author)
    out = chosen.out or Path(plugin.name)
    _tell(plugin, out, write_plugin(plugin, out))


def _asked() -> dict[str, list[str]]:
    typer.echo("Name a part of each kind that the plugin shall have, or press Enter for none.")
    named = {kind: typer.prompt(f"  {kind}", default="", show_default=False) for kind in PART_KINDS}
    return {kind: [name] for kind, name in named.items() if name}


def _tell(plugin: NewPlugin, out: Path, count: int) -> None:
    """Print what to do next, as commands to paste."""
    typer.echo(f"{out}: {count} files. Next:")
    steps = ("pip install -e '.[dev]'", "pytest", f"sfda-kit plugins check {plugin.name}", *plugin.uses())
    for step in (shlex.join(["cd", str(out)]), *steps):
        typer.echo(f"  {step}")
