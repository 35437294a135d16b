"""``sfda-kit source``: train, show and import source models."""

from __future__ import annotations

import typer

app = typer.Typer(help="Source models and their cards.", no_args_is_help=True)
