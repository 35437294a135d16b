"""The command ``sfda-kit``: each command parses options, calls one library function, and shows the result."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sfda_kit import __version__
from sfda_kit.cli import (
    ablate,
    adapt,
    bench,
    cache,
    cite,
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
from sfda_kit.cli.loudness import Loudness, speaking
from sfda_kit.cli.output import errors, notices, print_error
from sfda_kit.errors import InterruptError, RenamedWarning, SfdaKitError, UserError, brief
from sfda_kit.files import scarcity
from sfda_kit.processes import is_follower, launched

RENAMED = {"--depth-unit": "--unit"}
"""Options by an older name, which still work."""
TOGETHER = ("run", "adapt")
"""The commands that several processes can do together."""
LOUDNESS = ("-q", "--quiet", "-v", "--verbose")
"""The options of the command line as a whole that may stand anywhere in it."""


class _Root(TyperGroup):
    """Turns Ctrl-C into ``InterruptError``, because Typer's own handling differs between its versions.

    A full disk, too little memory and a name that is too long become messages, wherever they were met.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        end = args.index("--") if "--" in args else len(args)
        loudness = [argument for argument in args[:end] if argument in LOUDNESS]  # before or behind the command
        others = [_present_name(argument) for argument in args[:end] if argument not in LOUDNESS]
        return super().parse_args(ctx, [*loudness, *others, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("once", RenamedWarning)
                warnings.showwarning = _shown(warnings.showwarning)
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptError("Interrupted") from None
        except (MemoryError, RuntimeError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                raise UserError(f"The name {brief(error.filename)} is longer than the file system takes.") from None
            if (told := scarcity(error)) is None:
                raise
            raise told from error


def _present_name(argument: str) -> str:
    """Return an option by its present name, with a notice where it was given by an older one."""
    name, equals, value = argument.partition("=")
    if name not in RENAMED:
        return argument
    notices().print(f"notice: {name} is called {RENAMED[name]} now; the old name will be removed", markup=False)
    return f"{RENAMED[name]}{equals}{value}"


def _shown(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Return a way to show warnings: keys by an older name are notices."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, RenamedWarning):
            notices().print(f"notice: {message}", markup=False, soft_wrap=True)
        else:
            otherwise(message, category, *place, **more)

    return show


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
app.command("cite")(cite.cite)
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
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors alone.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what happens inside, and show tracebacks.")
    ] = False,
) -> None:
    del version
    if quiet and verbose:
        raise UserError("-q and -v contradict each other: give one of them.")
    if launched().count > 1 and context.invoked_subcommand not in TOGETHER:
        raise UserError(
            f"A launcher started `sfda-kit {context.invoked_subcommand}` in {launched().count} processes, and only "
            f"{' and '.join(TOGETHER)} work in several. Start it without a launcher."
        )
    if is_follower():  # process 0 speaks
        quiet, verbose = True, False
        context.with_resource(redirect_stdout(io.StringIO()))
    context.with_resource(speaking(Loudness.QUIET if quiet else Loudness.VERBOSE if verbose else Loudness.NORMAL))


def main() -> None:
    """Run the command: a user's mistake prints one message and exits with 2, a failed run with 1, Ctrl-C with 130."""
    try:
        app()
    except InterruptError as stopped:
        errors().print(str(stopped))
        sys.exit(130)
    except SfdaKitError as error:
        print_error(error)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:  # the reader of a pipe (head) has closed it, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
