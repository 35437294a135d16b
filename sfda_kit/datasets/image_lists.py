"""Image lists of source-free benchmarks: each line is a path and a number, ``real/zebra/real_344_000380.jpg 125``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sfda_kit.errors import DataError, brief

_LINE = re.compile(r"\s*(?P<path>\S(?:.*?\S)?)(?:\s+(?P<number>\d{1,9}))?\s*")


class Listed(NamedTuple):
    """One line: the path below the root, the name of its last folder, and the number (-1 where there is none)."""

    path: str
    folder: str
    number: int


def find_list(root: Path, domain: str) -> Path | None:
    """Return ``<domain>/image_list.txt`` (VisDA-C) or ``<domain>_list.txt`` (DomainNet-126), None without either."""
    for path in (root / domain / "image_list.txt", root / f"{domain}_list.txt"):
        if path.is_file():
            return path
    return None


def read_list(root: Path, domain: str, path: Path) -> tuple[list[Listed], list[str]]:
    """Return the images that a list names, and a sentence for each line that cannot be used.

    Paths begin at the root or at the domain's folder. Raises ``DataError`` when the file cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of images ({error}). Copy it again.") from None
    listed: list[Listed] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        why = _unsafe(match["path"])
        below = "" if why else _below(root, domain, match["path"])
        if why or not below:
            problems.append(f"{path} line {number}: {brief(match['path'], 200)} {why or 'is not on the disk'}")
        else:
            listed.append(Listed(below, PurePosixPath(below).parent.name, int(match["number"] or -1)))
    return listed, problems


def class_of(listed: Listed, ordered: Sequence[str]) -> str | None:
    """Return the class of an image: its folder, or, where that is ``trunk<n>``, its number's class in ``ordered``."""
    if not listed.folder.startswith("trunk"):
        return listed.folder
    return ordered[listed.number] if 0 <= listed.number < len(ordered) else None


def _unsafe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return "leads out of the data root; write paths from there"
    return ""


def _below(root: Path, domain: str, name: str) -> str:
    for candidate in (name, f"{domain}/{name}"):
        if os.path.isfile(root / candidate):  # noqa: PTH113 (of a name that is too long a path raises OSError)
            return candidate
    return ""
