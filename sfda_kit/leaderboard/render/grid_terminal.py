"""An ablation in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sfda_kit.leaderboard.effects import Ablation
from sfda_kit.leaderboard.render.grid_tables import TextTable, explanation, sections


def show_ablation(console: Console, found: Ablation) -> None:
    """Print every section, then how to read them."""
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
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(found.heads):
        left = number < found.left
        table.add_column(Text(head), justify="left" if left else "right", overflow="fold", no_wrap=not left)
    for cells in found.rows:
        table.add_row(*map(Text, cells))
    return table


def _say(console: Console, sentences: tuple[str, ...] | list[str]) -> None:
    for sentence in sentences:
        console.print(Padding(Text(sentence, style="dim"), (0, 0, 0, 2), expand=False))
