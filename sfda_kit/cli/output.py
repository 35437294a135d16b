"""Consoles: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, TextIO, cast

from sfda_kit.cli.loudness import is_quiet, is_verbose
from sfda_kit.errors import printable
from sfda_kit.processes import is_follower, launched

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_ERROR = 4000
"""The largest number of characters of an error message that are shown."""


def results(json_wanted: bool = False) -> Console:
    """Return the console for results, which writes to stderr when stdout carries JSON."""
    from sfda_kit.cli.safe_console import SafeConsole

    return SafeConsole(stderr=json_wanted, highlight=False, quiet=is_follower())


def notices(on_stderr: bool = True) -> Console:
    """Return the console for what is no result and no error: notices, progress, hints. It is silent with ``-q``."""
    from sfda_kit.cli.safe_console import SafeConsole

    return SafeConsole(stderr=on_stderr, highlight=False, quiet=is_quiet())


def errors() -> Console:
    """Return the console for messages about what went wrong."""
    from sfda_kit.cli.safe_console import SafeConsole

    return SafeConsole(stderr=True, highlight=False)


class _EscapedStdout:
    """Writes to stdout with control characters escaped, for a person's terminal."""

    def write(self, text: str) -> int:
        return sys.stdout.write("\n".join(map(printable, text.split("\n"))))


def stdout() -> TextIO:
    """Return stdout for data: exact in a pipe or a file, with control characters escaped on a terminal."""
    return cast("TextIO", _EscapedStdout()) if sys.stdout.isatty() else sys.stdout


def print_error(error: Exception) -> None:
    """Print the message of an expected error, shortened where it is very long, unless process 0 prints it."""
    if is_follower() and getattr(error, "told", False):
        return
    from rich.markup import escape

    text = str(error)
    more = f"... ({len(text) - LONGEST_ERROR} more characters)" if len(text) > LONGEST_ERROR else ""
    shown = escape(text[:LONGEST_ERROR] + more)
    if is_verbose():
        errors().print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
    sender = f" of process {launched().rank}" if is_follower() else ""
    errors().print(f"[bold red]Error{sender}:[/] {shown}", soft_wrap=True, highlight=False)


def tell_failed_plugins() -> None:
    """Say in one line of stderr which plugins could not be loaded, if any: their parts are missing."""
    from sfda_kit.plugins.discovery import installation

    if failed := installation().failed:
        named = "; ".join(str(plugin) for plugin in failed)
        text = f"Plugins that could not be loaded: {named}. What to do: sfda-kit plugins list"
        notices().print(text, markup=False, soft_wrap=True)


def is_interactive(console: Console) -> bool:
    """Return whether a live view makes sense: the console is a terminal, and this is not CI."""
    return console.is_terminal and not os.environ.get("CI")
