"""``sfda-kit data``: look at what is on the disk, write synthetic twins."""

from __future__ import annotations

import typer

app = typer.Typer(help="Look at data sets and write synthetic twins of their layouts.", no_args_is_help=True)
