"""The board as Markdown; the same records give the same bytes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from sfda_kit.leaderboard.board import Board, BoardRow, Overall, TaskTable
from sfda_kit.leaderboard.render.words import (
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

SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")


def markdown(board: Board) -> str:
    """Return a page with one table for each task and network."""
    lines = ["# Leaderboard", ""]
    for table in board.tables:
        lines += [f"## {escaped(title(table))}", "", *_task_table(table), "", *_list(notes(table)), ""]
    for found in board.overall:
        lines += [
            f"## {overall_title(board, found)}",
            "",
            *_overall(found),
            "",
            *_list(overall_notes(board, found)),
            "",
        ]
    lines += _list([*map(plain, board.notices), *no_overall(board), *explanation(board)])
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """Return ``text`` as Markdown that only shows it: it begins no markup, no HTML and no new cell."""
    return SPECIAL.sub(r"\\\1", html.escape(text, quote=False))


def _list(sentences: Iterable[str]) -> list[str]:
    return [f"* {escaped(sentence)}" for sentence in sentences]


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a pipe table; rank, method and track are left-aligned."""
    rule = [" --- " if head in ("rank", "method", "track") else " ---: " for head in heads]
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join(rule)}|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]


def _task_table(table: TaskTable) -> list[str]:
    columns = filled(table)
    rows = [[row.rank_text, _label(row), *(escaped(column.cell(row)) for column in columns)] for row in table.rows]
    return _lines(["rank", "method", *(column.head for column in columns)], rows)


def _label(row: BoardRow) -> str:
    name = escaped(plain(row.label))
    marks = letters(row)
    return (f"*{name}*" if row.kind != "method" else name) + (f" <sup>{marks}</sup>" if marks else "")


def _overall(found: Overall) -> list[str]:
    ranks = found.rank_tests.mean_ranks if found.rank_tests else {}
    heads = ["rank", "method", "mean", "minus best", *(["mean rank"] if ranks else [])]
    rows = [
        [row.rank_text, escaped(plain(row.label)), f"{row.mean:.1f}", escaped(interval(row.versus_best))]
        + ([f"{ranks[row.label]:.2f}"] if ranks else [])
        for row in found.rows
    ]
    return _lines(heads, rows)
