"""Tables that never cut what must be typed: names stay whole, and other texts break into lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

NARROWEST = 16
"""The fewest characters that a column of sentences keeps."""


def table_of(*heads: str, **more: Any) -> Table:
    """Return an empty table whose first column holds names, which stay whole (``no_wrap``)."""
    from rich.table import Table

    table = Table(*heads, box=None, header_style="bold", pad_edge=False, **more)
    table.columns[0].no_wrap = True
    return table


def print_table(console: Console, table: Table) -> None:
    """Print ``table`` with all ``no_wrap`` columns whole. Where they need more room than the terminal has, the lines
    are longer than it."""
    needed = sum(_least_width(console, column) for column in table.columns) + 2 * (len(table.columns) - 1)
    width = console.width
    for column in table.columns:
        column.overflow = "crop" if column.no_wrap else "fold"
    console.width = max(width, needed)
    try:
        console.print(table)
    finally:
        console.width = width


def fits(console: Console, table: Table) -> bool:
    """Return whether every cell of ``table`` fits the console in one line."""
    whole = sum(_whole_width(console, column) for column in table.columns)
    return whole + 2 * (len(table.columns) - 1) <= console.width


def _least_width(console: Console, column: Column) -> int:
    whole = _whole_width(console, column)
    return whole if column.no_wrap else min(whole, NARROWEST)


def _whole_width(console: Console, column: Column) -> int:
    options = console.options.update(width=1_000_000)
    return max(console.measure(cell, options=options).maximum for cell in (column.header, *column.cells))
