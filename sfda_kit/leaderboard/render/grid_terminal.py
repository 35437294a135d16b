"""Printing of an ablation in a terminal."""

from __future__ import annotations

from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sfda_kit.leaderboard.effects import Ablation
from sfda_kit.leaderboard.render.grid_tables import TextTable, explanation, sections


def show_ablation(console: Console, found: Ablation) -> None:
    """Print every section, then the sentences that explain how to read them."""
    for section in sections(found):
        console.print(Text(section.title, style="bold"), soft_wrap=True)
        for table in section.tables:
            console.print(Text(table.caption, style="italic"))
            console.print(_table(table))
            console.print()
        _say(console, section.sentences)
        console.print()
    _say(console, explanation(found))


def _table(found: TextTable) -> Table:
    """Return a table in which figures never wrap; their heads wrap to the figures' width and leave room for names."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(found.heads):
        if number < found.left:
            table.add_column(Text(head), overflow="fold")
        else:
            width = max((cell_len(row[number]) for row in found.rows), default=0)
            lines = wrap(head, max(width, 1), break_long_words=False)
            table.add_column(Text("\n".join(lines)), justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(*map(Text, row))
    return table


def _say(console: Console, sentences: tuple[str, ...] | list[str]) -> None:
    for sentence in sentences:
        console.print(Padding(Text(sentence, style="dim"), (0, 0, 0, 2), expand=False))
