"""Printing of the board in a terminal; the least important columns are left out where they do not fit its width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sfda_kit.leaderboard.board import Board, BoardRow, Overall, TaskTable
from sfda_kit.leaderboard.render.words import (
    TableColumn,
    explanation,
    filled,
    interval,
    letters,
    no_overall,
    notes,
    overall_notes,
    overall_title,
    plain,
    title,
)

NARROWEST_LABEL = 18
GAP = 2


def show_board(console: Console, board: Board) -> None:
    """Print every table with its notes, then the comparison over several tables."""
    for table in board.tables:
        chosen = _that_fit(table, console.width)
        console.print(Text(title(table), style="bold"))
        console.print(_rows(table, chosen))
        _say(console, [*_left_out(table, chosen), *notes(table)])
        console.print()
    for found in board.overall:
        console.print(Text(overall_title(board, found), style="bold"))
        console.print(_overall(found))
        _say(console, overall_notes(board, found))
        console.print()
    _say(console, [*map(plain, board.notices), *no_overall(board), *explanation(board)])


def _say(console: Console, sentences: Sequence[str]) -> None:
    for sentence in sentences:
        console.print(Padding(Text(sentence, style="dim"), (0, 0, 0, 2), expand=False))


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    table.add_column("rank", no_wrap=True)
    table.add_column("method", min_width=NARROWEST_LABEL, overflow="fold")
    return table


def _rows(found: TaskTable, chosen: Sequence[TableColumn]) -> Table:
    table = _table()
    for column in chosen:
        table.add_column(column.head, justify="right", width=_width(found, column))
    for row in found.rows:
        cells = [Text(column.cell(row)) for column in chosen]
        table.add_row(row.rank_text, _label(row), *cells, style=_style(row, found))
    return table


def _that_fit(table: TaskTable, width: int) -> list[TableColumn]:
    """Return the columns, in order of importance, that fit beside a label that may wrap."""
    longest = max((len(_label(row)) for row in table.rows), default=0)
    room = width - len("rank") - GAP - min(max(longest, NARROWEST_LABEL), 30)
    chosen = []
    for column in filled(table):
        room -= GAP + _width(table, column)
        if room < 0:
            break
        chosen.append(column)
    return chosen


def _width(table: TaskTable, column: TableColumn) -> int:
    """Return the width of a column whose head may wrap between words."""
    return max(len(text) for text in (*column.head.split(), *(column.cell(row) for row in table.rows)))


def _left_out(table: TaskTable, chosen: Sequence[TableColumn]) -> list[str]:
    """Return a sentence that names the columns for which there is no room."""
    heads = [column.head for column in filled(table)[len(chosen) :]]
    return [f"No room here for: {'; '.join(heads)}. --format csv shows all."] if heads else []


def _label(row: BoardRow) -> Text:
    marks = letters(row)
    return Text(plain(row.label) + (f" [{marks}]" if marks else ""))


def _style(row: BoardRow, table: TaskTable) -> str:
    if row.kind != "method":
        return "italic"
    if row.rank is None:
        return "dim"
    return "bold" if table.leads(row) else ""


def _overall(found: Overall) -> Table:
    table = _table()
    ranks = found.rank_tests.mean_ranks if found.rank_tests else {}
    for head in ("mean", "minus best", *(["mean rank"] if ranks else [])):
        table.add_column(head, justify="right", no_wrap=True)
    for row in found.rows:
        cells = [f"{row.mean:.1f}", interval(row.versus_best)]
        cells += [f"{ranks[row.label]:.2f}"] if ranks else []
        table.add_row(row.rank_text, Text(plain(row.label)), *cells)
    return table
