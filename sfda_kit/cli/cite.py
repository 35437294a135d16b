"""``sfda-kit cite``: what to cite for finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfda_kit.cli import completion


def cite(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", autocompletion=completion.runs)],
) -> None:
    """Print BibTeX of the methods and parts of runs, of their data sets and backbones, and of sfda-kit."""
    from sfda_kit.errors import UserError
    from sfda_kit.results.citations import citations
    from sfda_kit.results.record import read_record

    records = []
    for run in runs:
        if (record := read_record(run)) is None:
            raise UserError(f"{run} holds no record.json. Give the folder of a run, such as runs/RUN.")
        records.append(record)
    typer.echo(citations(records), nl=False)
