"""Reading a table of images: one line per image, columns found by name, a sentence for every unusable line."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sfda_kit.errors import DataError, brief
from sfda_kit.files import read_text
from sfda_kit.interfaces.dataset import PARTS
from sfda_kit.plugins.modalities import is_modality, modality_names

COLUMNS = ("path", "class", "domain", "modality", "pair", "role", "group")
"""``path`` and ``class`` are required."""
MAX_BYTES = 1_000_000_000
DEFAULT_DOMAIN, DEFAULT_MODALITY = "default", "rgb"
_ALIASES = {"label": "class", "pair_id": "pair"}


class Line(NamedTuple):
    """One image. ``pair``, ``role`` and ``group`` are empty where the table does not give them."""

    number: int
    path: str
    scene_class: str
    domain: str
    modality: str
    pair: str
    role: str
    group: str


def read_table(path: Path, images: Path) -> tuple[list[Line], list[str]]:
    """Return the usable lines of ``path``, and a sentence for each other line. Paths in it begin at ``images``.

    The delimiter is comma, tab or semicolon. Raises ``DataError`` when the table is no text or lacks a required column.
    """
    lines: list[Line] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, cells, surplus in _cells(path):
        line = _line(number, cells)
        why = "has more cells than the first line; quote what holds a delimiter" if surplus else _wrong(line, images)
        if not why and line.path in seen:
            why = f"{brief(line.path, 200)} is on line {seen[line.path]} already; keep one of the two"
        if why:
            problems.append(f"{path} line {number}: {why}")
            continue
        seen[line.path] = number
        lines.append(line)
    return lines, problems


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str], bool]]:
    """Yield line number, cells by column, and whether there are more cells than columns."""
    try:
        text = StringIO(read_text(path, MAX_BYTES).removeprefix("\ufeff"), newline="")
        header = text.readline()
        delimiter = max(",\t;", key=header.count)
        names = [_column(name) for name in next(csv.reader([header], delimiter=delimiter), [])]
        _check_columns(path, names)
        reader = csv.reader(text, delimiter=delimiter)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                by_name = dict(zip(names, (cell.strip() for cell in cells), strict=False))
                yield reader.line_num + 1, by_name, len(cells) > len(names)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}). Save it as UTF-8 CSV or TSV.") from None


def _column(name: str) -> str:
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    return _ALIASES.get(plain, plain)


def _check_columns(path: Path, names: list[str]) -> None:
    lacking = [name for name in COLUMNS[:2] if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if lacking or unknown or twice:
        columns = brief(", ".join(names) or "none", 200, quoted=False)
        raise DataError(
            f"{path} has the columns {columns}; expected {', '.join(COLUMNS)}, each once, of which "
            "path and class are required. Mend the first line."
        )


def _line(number: int, cells: dict[str, str]) -> Line:
    values = {name: cells.get(name, "") for name in COLUMNS}
    return Line(
        number,
        values["path"],
        values["class"],
        values["domain"] or DEFAULT_DOMAIN,
        values["modality"] or DEFAULT_MODALITY,
        values["pair"],
        values["role"],
        values["group"],
    )


def _wrong(line: Line, images: Path) -> str:
    """Return what makes the line unusable and what to do; empty where it is usable."""
    if not line.path or not line.scene_class:
        return "has no path or no class; fill it in"
    if not is_modality(line.modality):
        return f"unknown modality {brief(line.modality)}; write one of {', '.join(modality_names())}"
    if line.role and line.role not in PARTS:
        return f"unknown role {brief(line.role)}; write one of {', '.join(PARTS)}, or nothing"
    path = PurePosixPath(line.path)
    if path.is_absolute() or ".." in path.parts:
        return f"{brief(line.path, 200)} leads out of {images}; write paths from there, or set dataset.options.images"
    if not os.path.isfile(images / line.path):  # noqa: PTH113 (of a name that is too long a path raises OSError)
        return f"{brief(line.path, 200)} is not in {images}; mend the path (with / between folders)"
    return ""
