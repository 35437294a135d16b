"""``sfda-kit results``: query stored records in SQL, or write them as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sfda_kit.results.query import Answer

app = typer.Typer(help="Ask stored records in SQL, write them as one table.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--records", help="Folder that holds run folders.")]
SHOWN = 10
"""Number of notices that are printed; further ones are only counted."""


@app.command("query")
def query_(
    sql: Annotated[str, typer.Argument(help="One row a record in `runs`; also `history` and `predictions`.")],
    records: Folder = Path("runs"),
    format_: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Answer an SQL query over run folders, e.g. "select method, avg(heldout_accuracy) from runs group by method"."""
    from sfda_kit.cli.predict import check_choice
    from sfda_kit.results.query import query

    check_choice("--format", format_, tuple(WRITERS))
    answer = query(sql, records)
    WRITERS[format_](answer)
    _notices(answer)


@app.command("export")
def export_(
    file_format: Annotated[str, typer.Argument(help="csv or parquet.", metavar="FORMAT")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    records: Folder = Path("runs"),
    view: Annotated[str, typer.Option(help="runs, history or predictions.")] = "runs",
) -> None:
    """Write all records as one table."""
    from sfda_kit.cli.output import results
    from sfda_kit.results.query import export

    answer = export(view, records, out, file_format)
    results().print(f"{answer.rows[0][0]} rows written to {out}", markup=False, soft_wrap=True)
    _notices(answer)


def _notices(answer: Answer) -> None:
    from sfda_kit.cli.output import notices

    for notice in answer.notices[:SHOWN]:
        notices().print(f"notice: {notice}", markup=False, soft_wrap=True)
    if further := answer.notices[SHOWN:]:
        notices().print(f"notice: {len(further)} further files are left out", markup=False)


def _write_table(answer: Answer) -> None:
    """Print a table; on a terminal that it does not fit, print each row as lines of name and value instead.

    In a pipe every row is one line. No value is cut anywhere.
    """
    from rich.markup import escape
    from rich.table import Table

    from sfda_kit.cli.safe_console import SafeConsole
    from sfda_kit.cli.tables import fits

    console = SafeConsole(highlight=False)
    if not console.is_terminal:
        console = SafeConsole(highlight=False, width=1_000_000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [[row[number] for row in answer.rows] for number in range(len(answer.columns))]
    for name, values in zip(answer.columns, columns, strict=True):
        numeric = any(isinstance(value, (int, float)) for value in values)
        table.add_column(escape(name), justify="right" if numeric else "left")
    rows = list(zip(*map(_cells, columns), strict=True))
    for cells in rows:
        table.add_row(*map(escape, cells))
    if fits(console, table):
        console.print(table)
    else:
        _print_as_lines(console, answer.columns, rows)


def _print_as_lines(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print every cell as one line, as psql does with wide rows."""
    width = max(map(len, names))
    for number, cells in enumerate(rows, start=1):
        console.print(f"row {number} of {len(rows)}", style="bold")
        for name, cell in zip(names, cells, strict=True):
            console.print(f"  {name:<{width}}  {cell}", markup=False, soft_wrap=True)


def _cells(values: Sequence[Any]) -> list[str]:
    """Return a column as text: three decimals where any value has decimals, and nothing for NULL."""
    floats = [value for value in values if isinstance(value, float)]
    form = ".0f" if all(value.is_integer() for value in floats) else ".3f"
    return [
        "" if value is None else format(value, form) if isinstance(value, float) else str(value) for value in values
    ]


def _write_csv(answer: Answer) -> None:
    import csv

    from sfda_kit.cli.output import stdout

    writer = csv.writer(stdout(), lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)


def _write_json(answer: Answer) -> None:
    """Print an array of objects; numbers that JSON cannot hold become null."""
    import json
    import sys

    rows = [{name: _plain(value) for name, value in zip(answer.columns, row, strict=True)} for row in answer.rows]
    json.dump(rows, sys.stdout, indent=1, default=str, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    from math import isfinite

    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}
