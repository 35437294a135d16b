r"""The board as LaTeX for a paper, with a ``table`` for each task and network; it needs ``\usepackage{booktabs}``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sfda_kit.leaderboard.board import ACCURACIES, METRIC_NAMES, Board, BoardRow, Overall, TaskTable, spell_track
from sfda_kit.leaderboard.render.words import (
    explanation,
    interval,
    letters,
    notes,
    overall_notes,
    plain,
    score,
    spread,
    title,
)

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}

LAST_KNOWN = 0x17F
"""The last character of Latin Extended-A; pdfLaTeX stops at most characters after it."""


def latex(board: Board) -> str:
    """Return all tables; each of them can be copied and used alone."""
    lines = ["% \\usepackage{booktabs}"]
    for table in board.tables:
        lines += ["", *_task_table(board, table)]
    for found in board.overall:
        lines += ["", *_overall(board, found)]
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """Return LaTeX that prints ``text``; a character that pdfLaTeX may not have becomes a question mark."""
    text = text.replace("->", "\0")
    shown = (SPECIAL.get(c, c) if ord(c) <= LAST_KNOWN else "?" for c in text)
    return "".join(shown).replace("\0", r"$\to$")


def _environment(
    heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str, label: str, under: Iterable[str]
) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{@{{}}rl{'r' * (len(heads) - 2)}@{{}}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *rows_with_rules(rows),
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\par\smallskip\footnotesize", *(rf"{escaped(sentence)}\par" for sentence in under)]),
        r"\end{table}",
    ]


def rows_with_rules(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the rows as LaTeX; an empty row becomes a rule."""
    return [" & ".join(cells) + r" \\" if cells else r"\midrule" for cells in rows]


def _task_table(board: Board, table: TaskTable) -> list[str]:
    order = [table.metric, *(name for name in ACCURACIES if name != table.metric)]
    several = any(row.configurations for row in table.rows)
    rows: list[list[str]] = []
    for row in table.rows:
        apart = row.kind != "method" and not row.tuned  # else it stands below the row of its method
        if rows and apart and not any(cells == [] for cells in rows):
            rows.append([])
        scores = [score(row, table.metric), *(spread(row.metrics.get(name)) for name in order[1:])]
        number = [str(row.configurations or "")] if several else []
        cells = [escaped(cell) for cell in (*scores, interval(row.versus_best), str(len(row.seeds)), *number)]
        if table.leads(row):
            cells[0] = rf"\textbf{{{cells[0]}}}"
        rows.append([row.rank_text, _label(row), escaped(row.track_text), *cells])
    counted = ["configurations"] if several else []
    heads = ["", "method", "track", *(METRIC_NAMES[name] for name in order), "minus best", "seeds", *counted]
    caption = f"{escaped(title(table))}. {_sentences(explanation(board))}"
    return _environment(heads, rows, caption, table.id, notes(table))


def _sentences(found: Iterable[str]) -> str:
    return " ".join(map(escaped, found))


def _label(row: BoardRow) -> str:
    name, marks = escaped(plain(row.label)), letters(row)
    shown = rf"\emph{{{name}}}" if row.kind != "method" else name
    return shown + (f"$^{{\\mathrm{{{marks}}}}}$" if marks else "")


def _overall(board: Board, found: Overall) -> list[str]:
    ranks = found.rank_tests.mean_ranks if found.rank_tests else {}
    rows = [
        [row.rank_text, escaped(plain(row.label)), f"{row.mean:.1f}", escaped(interval(row.versus_best))]
        + ([f"{ranks[row.label]:.2f}"] if ranks else [])
        for row in found.rows
    ]
    heads = ["", "method", "mean", "minus best", *(["mean rank"] if ranks else [])]
    track = f", track {escaped(spell_track(found.track))}" if len(board.overall) > 1 else ""
    caption = f"Over {len(found.blocks)} tasks and networks{track}, {METRIC_NAMES[board.metric]}."
    label = "-".join(["overall", *found.track]) if len(board.overall) > 1 else "overall"
    return _environment(heads, rows, caption, label, overall_notes(board, found))
