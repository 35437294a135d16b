"""Consoles: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def results(json_wanted: bool = False) -> Console:
    """Return the console for results, which writes to stderr when stdout carries JSON."""
    from rich.console import Console

    return Console(stderr=json_wanted, highlight=False)


def errors() -> Console:
    """Return the console for messages about what went wrong."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def tell_failed_plugins() -> None:
    """Say in one line of stderr which plugins could not be loaded, if any: their parts are missing."""
    from sfda_kit.plugins.discovery import installation

    if failed := installation().failed:
        named = "; ".join(str(plugin) for plugin in failed)
        text = f"Plugins that could not be loaded: {named}. What to do: sfda-kit plugins list"
        errors().print(text, markup=False, soft_wrap=True)


def is_interactive(console: Console) -> bool:
    """Return whether a live view makes sense: the console is a terminal, and this is not CI."""
    return console.is_terminal and not os.environ.get("CI")
