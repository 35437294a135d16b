"""Groups as users define them: units that splits never cut, such as a room, a video or a patient."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import regex

from sfda_kit.errors import DataError, UserError, brief

MATCHING_SECONDS = 2


@dataclass(frozen=True)
class Grouping:
    """``keys``: a group name per sample, None where none is defined. ``notices``: sentences to show and record."""

    keys: list[str | None]
    notices: tuple[str, ...] = ()


def told_groups(root: Path, names: Sequence[str], pattern: str | None, fallback: str) -> Grouping:
    """Return the groups of samples named by path (``a/b/stem``): by ``pattern`` if given, else by ``root/groups.csv``.

    ``fallback`` ends the notice about samples without a group. Raises ``UserError`` for a bad pattern and ``DataError``
    for a groups.csv without columns stem and group.
    """
    table = root / "groups.csv"
    if pattern is not None:
        grouping = _by_pattern(names, pattern, fallback)
        ignored = (f"{table} is not used: --group-pattern was given.",) if table.is_file() else ()
        return Grouping(grouping.keys, ignored + grouping.notices)
    if table.is_file():
        return _by_table(names, table, fallback)
    return Grouping([None] * len(names))


def groups_or_own(root: Path, names: Sequence[str], pattern: str | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the groups of ``told_groups`` and notices; a sample without one becomes its own group, with a notice."""
    told = told_groups(root, names, pattern, "each such sample is its own group")
    own: tuple[str, ...] = ()
    if names and not any(told.keys):
        own = (
            f"{root} has no groups.csv and no --group-pattern was given: each sample is its own group, so images "
            "of one place may lie on both sides of a split.",
        )
    return [key or f"sample {name}" for key, name in zip(told.keys, names, strict=True)], told.notices + own


def _by_pattern(names: Sequence[str], pattern: str, fallback: str) -> Grouping:
    told_by = f"--group-pattern {brief(pattern)}"
    try:
        compiled = regex.compile(pattern)
        matches = [compiled.search(name.rpartition("/")[2], timeout=MATCHING_SECONDS) for name in names]
    except regex.error as error:
        raise UserError(f"{told_by} is no regular expression: {error}. Example: '^[^_]+'.") from None
    except TimeoutError:
        raise UserError(
            f"{told_by} takes over {MATCHING_SECONDS} seconds for one name, because it can match in too many ways. "
            "Repeat no group that holds a repetition: write '^[a-z]+' and not '^([a-z]+)+'."
        ) from None
    keys = [(m.group(1) if compiled.groups else m.group()) if m else None for m in matches]
    if names and not any(keys):
        raise UserError(
            f"{told_by} matches none of the {len(names)} stems, such as "
            f"{names[0].rpartition('/')[2]!r}. Mend it, or leave it out."
        )
    return Grouping([key or None for key in keys], _untold(keys, told_by, fallback))


def _by_table(names: Sequence[str], path: Path, fallback: str) -> Grouping:
    table = read_groups(path)
    keys = [_lookup(table, name) for name in names]
    return Grouping(keys, _untold(keys, str(path), fallback))


def _lookup(table: dict[str, str], name: str) -> str | None:
    """Return the group of ``kv1/bed/007`` from its own line, else from that of ``bed/007``, else that of ``007``."""
    while name not in table:
        _, slash, name = name.partition("/")
        if not slash:
            return None
    return table[name]


def read_groups(path: Path) -> dict[str, str]:
    """Return stem -> group of a ``groups.csv``. Raises ``DataError`` that names the line that cannot be used."""
    table: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            found = tuple(reader.fieldnames or ())
            if not {"stem", "group"} <= set(found):
                columns = brief(", ".join(found) or "none", 200, quoted=False)
                raise DataError(f"{path} has the columns {columns}; expected stem,group.")
            for line in reader:
                stem, group = (line["stem"] or "").strip(), (line["group"] or "").strip()
                if not stem or not group:
                    raise DataError(f"{path} line {reader.line_num} lacks a stem or a group. Fill it in.")
                if table.setdefault(stem, group) != group:
                    raise DataError(
                        f"{path} line {reader.line_num}: {stem!r} has groups {table[stem]!r} and {group!r}. "
                        "Keep one; where stems repeat, write class/stem or domain/class/stem."
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}). Save it as UTF-8 CSV with columns stem,group.") from None
    return table


def _untold(keys: Sequence[str | None], told_by: str, fallback: str) -> tuple[str, ...]:
    untold = sum(not key for key in keys)
    return (f"{told_by} tells no group for {untold} of {len(keys)} samples; {fallback}.",) if untold else ()
