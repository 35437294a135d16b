"""``sfda-kit plugins new``: write a complete plugin into a new folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfda_kit.cli.groups import OptionGroup, takes_options
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.scaffold.kinds import PART_KINDS

if TYPE_CHECKING:
    from sfda_kit.scaffold.new_plugin import NewPlugin

EXAMPLES = """Examples:
sfda-kit plugins new my-sfda --aligner margin --method margin
sfda-kit plugins new my-cameras --dataset two-cameras --encoding log-depth --author 'A. Person'
"""


def _part_option(kind: str, summary: str) -> Any:
    described = typer.Option(f"--{kind}", metavar="PART", help=f"{summary}; repeatable.")
    return Annotated[list[str] | None, described]


_PARTS: Any = type(
    "PartsByKind",
    (OptionGroup,),
    {"panel": "Parts", "__annotations__": {kind: _part_option(kind, it.summary) for kind, it in PART_KINDS.items()}},
)


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

    given = {kind: getattr(chosen, kind) for kind in PART_KINDS if getattr(chosen, kind)}
    plugin = new_plugin(chosen.name, given or _asked(chosen.name), chosen.author)
    out = chosen.out or Path(plugin.name)
    _tell(plugin, out, write_plugin(plugin, out))


def _asked(name: str) -> dict[str, list[str]]:
    """Ask for kinds and names. Raises ``UserError`` where nobody can answer, or where a kind does not exist."""
    if not sys.stdin.isatty():
        raise UserError(
            f"Say which parts {name} has, such as --aligner margin --method margin. Kinds: {', '.join(PART_KINDS)}."
        )
    kinds = typer.prompt(f"Kinds of parts, of {', '.join(PART_KINDS)}", default="aligner, method").replace(",", " ")
    for kind in kinds.split():
        if kind not in PART_KINDS:
            raise UserError(f"Unknown kind {kind!r}. {did_you_mean(kind, PART_KINDS)}")
    return {kind: [typer.prompt(f"Name of the {kind}", default=name.lower())] for kind in kinds.split()}


def _tell(plugin: NewPlugin, out: Path, count: int) -> None:
    """Print what to do next, as commands to paste."""
    import shlex

    typer.echo(f"{out}: {count} files. Next:")
    steps = ("pip install -e '.[dev]'", "pytest", f"sfda-kit plugins check {plugin.name}", *plugin.uses())
    for step in (shlex.join(["cd", str(out)]), *steps):
        typer.echo(f"  {step}")
