"""The command ``sfda-kit``: each command parses options, calls one library function, and shows the result."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sfda_kit import __version__
from sfda_kit.cli import (
    ablate,
    adapt,
    bench,
    cache,
    data,
    export,
    leaderboard,
    plugins,
    predict,
    reproduce,
    results,
    run,
    source,
)
from sfda_kit.cli.groups import Command
from sfda_kit.cli.output import errors
from sfda_kit.errors import InterruptError, SfdaKitError, UserError
from sfda_kit.files import scarcity


class _Root(TyperGroup):
    """Turns Ctrl-C into ``InterruptError``, because Typer's own handling differs between its versions.
    A full disk and too little memory become messages, wherever they were met."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptError("Interrupted") from None
        except (MemoryError, RuntimeError, OSError) as error:
            if (told := scarcity(error)) is None:
                raise
            raise told from error


app = typer.Typer(
    name="sfda-kit",
    cls=_Root,
    help="Adapt a model trained on one sensor to another, without source data and without labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", cls=Command, epilog=run.EXAMPLES)(run.run)
app.command("adapt", cls=Command, epilog=adapt.EXAMPLES)(adapt.adapt)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(bench.app, name="bench")
app.command("ablate", cls=Command, epilog=ablate.EXAMPLES)(ablate.ablate)
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(results.app, name="results")
app.add_typer(source.app, name="source")
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
app.add_typer(plugins.app, name="plugins")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sfda-kit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command: a user's mistake prints one message and exits with 2, a failed run with 1, Ctrl-C with 130."""
    try:
        app()
    except InterruptError as stopped:
        errors().print(str(stopped))
        sys.exit(130)
    except SfdaKitError as error:
        from rich.markup import escape

        errors().print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:  # the reader of a pipe (head) has closed it, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
