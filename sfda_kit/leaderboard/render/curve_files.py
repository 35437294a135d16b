"""The curves of a stress as Markdown and CSV; the same records give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from sfda_kit.files import atomic
from sfda_kit.leaderboard.board import METRICS
from sfda_kit.leaderboard.curves import CurvePoint, CurveSection, Panel, StressPage
from sfda_kit.leaderboard.render.csv_table import safe
from sfda_kit.leaderboard.render.markdown import escaped
from sfda_kit.leaderboard.render.words import spread

COUNTED = {"target-train": "target training images", "ti": "TI pairs"}
"""The parts whose number of images stands in a table where it is not the same at all levels."""


def markdown(page: StressPage, pictures: Sequence[str]) -> str:
    """Return the page with one section for each task and network. ``pictures``: a path for each, or nothing."""
    lines = [f"# {escaped(page.title)}", "", *_list(explanation(page)), ""]
    for section, picture in zip(page.sections, pictures, strict=True):
        lines += [f"## {escaped(section.title)}{' (synthetic images)' if section.synthetic else ''}", ""]
        lines += [f"![Accuracy against severity, one panel for each factor]({picture})", ""] if picture else []
        for panel in section.panels:
            lines += [f"**{escaped(panel.factor)}** (`{panel.setting}`)", "", *_table(panel), ""]
        lines += [*_list(section.notices), ""] if section.notices else []
    return "\n".join([*lines, *_list(page.notices)]).rstrip("\n") + "\n"


def explanation(page: StressPage) -> list[str]:
    """Return the sentences that explain how to read the tables and the picture."""
    return [
        f"Accuracy in percent ({METRICS[page.metric]}): mean ± standard deviation over seeds and folds. In brackets: "
        "the mean difference to the plain task in points, over the seeds and folds that both have.",
        "Each factor is varied alone from the plain task, which is the first column. A factor that changes only TI "
        "pairs shows the methods that use them.",
        "Every level is a task of its own, and its rows never rank beside plain ones.",
    ]


def _list(sentences: Sequence[str]) -> list[str]:
    return [f"* {escaped(sentence)}" for sentence in sentences]


def _table(panel: Panel) -> Iterator[str]:
    rows = [[curve.method, *map(_cell, curve.points, range(len(curve.points)))] for curve in panel.curves]
    for part, name in COUNTED.items():
        counts = [_count(panel, place, part) for place in range(len(panel.levels))]
        if len({one for one in counts if one}) > 1:
            rows.append([name, *counts])
    yield f"| method | {' | '.join(map(escaped, panel.levels))} |"
    yield f"| --- |{' ---: |' * len(panel.levels)}"
    yield from (f"| {' | '.join(map(escaped, row))} |" for row in rows)


def _cell(found: CurvePoint, place: int) -> str:
    if not place or found.change is None:
        return spread(found.score)
    return f"{spread(found.score)} ({round(found.change, 1) + 0.0:+.1f})"  # adding 0 leaves no minus before a zero


def _count(panel: Panel, place: int, part: str) -> str:
    return next((str(one) for curve in panel.curves if (one := curve.points[place].images.get(part))), "")


def curves_csv(page: StressPage) -> str:
    """Return CSV with a line for each point and unrounded numbers; a value that does not exist is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    heads = ["task", "factor", "setting", "level", "method", "mean", "std", "runs", "minus_plain"]
    writer.writerow([*heads, *(part.replace("-", "_") for part in COUNTED)])
    for section in page.sections:
        writer.writerows(_csv_rows(section))
    return file.getvalue()


def _csv_rows(section: CurveSection) -> Iterator[list[object]]:
    for panel in section.panels:
        for curve in panel.curves:
            for level, one in zip(panel.levels, curve.points, strict=True):
                names = [safe(name) for name in (section.title, panel.factor, panel.setting, level, curve.method)]
                figures = (one.score.mean, one.score.std, one.score.n) if one.score else (None, None, 0)
                yield [*names, *figures, one.change, *(one.images.get(part) for part in COUNTED)]


def write_curves(page: StressPage, folder: Path) -> list[Path]:
    """Write ``stress.md``, ``stress.csv`` and a picture for each task and network; return the paths."""
    from sfda_kit.leaderboard.render.curve_figure import draw_curves

    folder.mkdir(parents=True, exist_ok=True)
    number = len(page.sections)
    pictures = [folder / ("stress.png" if number == 1 else f"stress-{place + 1}.png") for place in range(number)]
    drawn = [draw_curves(one, page.metric, path) for one, path in zip(page.sections, pictures, strict=True)]
    names = [path.name if was else "" for path, was in zip(pictures, drawn, strict=True)]
    texts = {folder / "stress.md": markdown(page, names), folder / "stress.csv": curves_csv(page)}
    for path, text in texts.items():
        with atomic(path) as work:
            work.write_text(text, encoding="utf-8")
    return [*texts, *(path for path, was in zip(pictures, drawn, strict=True) if was)]
