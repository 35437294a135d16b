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


def is_interactive(console: Console) -> bool:
    """Return whether a live view makes sense: the console is a terminal, and this is not CI."""
    return console.is_terminal and not os.environ.get("CI")
