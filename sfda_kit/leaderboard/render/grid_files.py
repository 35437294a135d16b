"""An ablation as Markdown and CSV; the same records give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from sfda_kit.files import atomic
from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.effects import Ablation
from sfda_kit.leaderboard.render.csv_table import safe
from sfda_kit.leaderboard.render.grid_tables import COSTS, TextTable, explanation, sections
from sfda_kit.leaderboard.render.markdown import escaped


def markdown(found: Ablation, picture: str = "") -> str:
    """Return a page with one section for each task and network; ``picture``: path of the drawn effects."""
    lines = [f"# {escaped(found.title)}", ""]
    if picture:
        lines += [f"![Effects of each part in points]({picture})", ""]
    for section in sections(found):
        lines += [f"## {escaped(section.title)}", ""]
        for table in section.tables:
            lines += [f"**{escaped(table.caption)}**", "", *_table(table), ""]
        lines += [*_list(section.sentences), ""]
    return "\n".join([*lines, *_list(explanation(found)), ""])


def _table(table: TextTable) -> list[str]:
    rule = [" --- " if number < table.left else " ---: " for number in range(len(table.heads))]
    rows = [table.heads, *table.rows]
    text = [f"| {' | '.join(map(escaped, cells))} |" for cells in rows]
    return [text[0], f"|{'|'.join(rule)}|", *text[1:]]


def _list(sentences: Iterable[str]) -> list[str]:
    return [f"* {escaped(sentence)}" for sentence in sentences]


def effects_csv(found: Ablation) -> str:
    """Return CSV with one line for each effect and unrounded numbers."""
    heads = ["task", "factor", "level", "minus", "difference", "low", "high", "p_value", "adjusted", "different"]
    rows: list[Sequence[object]] = []
    for block in found.blocks:
        for effect in block.effects:
            seen = effect.comparison
            names = map(safe, (block.title, effect.factor, effect.level, effect.baseline))
            figures = (seen.difference, seen.low, seen.high, seen.p_value, seen.adjusted, seen.different)
            rows.append([*names, *figures, effect.averaged, effect.planned, seen.seeds, seen.groups])
    return _csv([*heads, "averaged", "planned", "seeds", "groups"], rows)


def cells_csv(found: Ablation) -> str:
    """Return CSV with a line for each task and variant, numbers unrounded; a value that does not exist is empty."""
    figures = [f"{name}_{part}" for name in METRICS for part in ("mean", "std")]
    heads = ["task", "variant", *map(safe, found.factors), *figures, *(key for _, key in COSTS), "seeds", "marks"]
    rows: list[Sequence[object]] = []
    for block in found.blocks:
        for cell in block.rows:
            spreads = [cell.row.metrics.get(name) for name in METRICS]
            rows.append(
                [
                    safe(block.title),
                    safe(cell.name),
                    *(safe(cell.levels.get(factor, "")) for factor in found.factors),
                    *(value for one in spreads for value in ((one.mean, one.std) if one else (None, None))),
                    *(cell.row.cost.get(key) for _, key in COSTS),
                    " ".join(map(str, cell.row.seeds)),
                    " ".join(mark.kind for mark in cell.row.marks),
                ]
            )
    return _csv(heads, rows)


def _csv(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return file.getvalue()


def write_files(found: Ablation, folder: Path) -> list[Path]:
    """Write ``ablation.md``, ``effects.csv``, ``cells.csv`` and, with effects, ``ablation.png``; return paths."""
    from sfda_kit.leaderboard.render.grid_figure import draw_effects

    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "ablation.png"
    drawn = draw_effects(found, picture)
    texts = {
        folder / "ablation.md": markdown(found, picture.name if drawn else ""),
        folder / "effects.csv": effects_csv(found),
        folder / "cells.csv": cells_csv(found),
    }
    for path, text in texts.items():
        with atomic(path) as work:
            work.write_text(text, encoding="utf-8")
    return [*texts, *([picture] if drawn else [])]
