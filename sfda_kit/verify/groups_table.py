"""Checks of ``groups.csv``: every line that is wrong or has no effect, not only the first."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from sfda_kit.errors import brief
from sfda_kit.verify.findings import Finding

NAME = "groups.csv"


def check_groups(root: Path) -> tuple[list[Finding], dict[str, int]]:
    """Return what is wrong with the table at ``root``, and stem -> line of its usable lines; both empty without one."""
    path = root / NAME
    if not path.is_file():
        return [], {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            columns = list(reader.fieldnames or ())
            if not {"stem", "group"} <= set(columns):
                what = f"has the columns {brief(', '.join(columns) or 'none', 200, quoted=False)}; expected stem,group"
                return [Finding("groups-table", NAME, what, "Mend its first line.")], {}
            return _check_lines((reader.line_num, line) for line in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = f"cannot be read ({error})"
        return [Finding("groups-table", NAME, what, "Save it as UTF-8 CSV with columns stem,group.")], {}


def _check_lines(lines: Iterable[tuple[int, dict[str, str | None]]]) -> tuple[list[Finding], dict[str, int]]:
    findings: list[Finding] = []
    groups: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, line in lines:
        stem, group = (line["stem"] or "").strip(), (line["group"] or "").strip()
        where = f"line {number}"
        if not stem or not group:
            findings.append(Finding("groups-table", NAME, f"{where} lacks a stem or a group", "Fill it in."))
        elif stem not in groups:
            groups[stem], first[stem] = group, number
        elif groups[stem] != group:
            what = f"{where}: {stem!r} has group {group!r}, and {groups[stem]!r} on line {first[stem]}"
            remedy = "Keep one; where stems repeat, write class/stem or domain/class/stem."
            findings.append(Finding("groups-table", NAME, what, remedy))
        else:
            findings.append(Finding("groups-table-unused", NAME, f"{where} repeats line {first[stem]}"))
    return findings, first


def unused_lines(lines: dict[str, int], names: Iterable[str]) -> Iterator[Finding]:
    """Yield the lines whose stem no sample has; a stem may have class, or domain and class, before it."""
    known: set[str] = set()
    for name in names:
        rest = name
        while rest not in known:
            known.add(rest)
            rest = rest.partition("/")[2] or rest
    for stem, number in lines.items():
        if stem not in known:
            yield Finding("groups-table-unused", NAME, f"line {number}: no sample is called {stem!r}")
