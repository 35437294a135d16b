"""The loader's view of a data root; where the loader refuses it, as much as possible is still checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.datasets.folder_dataset import FolderDataset, Scan
from sfda_kit.errors import DataError
from sfda_kit.verify.findings import Finding, split_message
from sfda_kit.verify.groups_table import NAME, check_groups

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

LONGEST_PATH = 4096


@dataclass
class Scanned:
    """``dataset`` is None where it could not be opened, ``scan`` where its samples could not be listed."""

    dataset: FolderDataset | None = None
    scan: Scan | None = None
    group_lines: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def scan_folder(kind: type[FolderDataset], config: DatasetConfig) -> Scanned:
    """Open and list a set. What is wrong becomes findings. Raises ``UserError`` where the command is wrong."""
    found = Scanned()
    try:
        found.dataset = kind(config)
    except DataError as error:
        found.findings.append(placed("layout", str(error), Path(config.root or ".").expanduser().absolute()))
        return found
    table, found.group_lines = check_groups(found.dataset.root)
    found.findings += table
    broken = any(one.rule.severity == "error" for one in table) and config.group_pattern is None
    if broken:
        # The samples are still checked; each is its own group here.
        found.dataset = kind(config.model_copy(update={"group_pattern": ".+"}))
    try:
        found.scan = found.dataset.scanned
    except DataError as error:
        found.findings.append(placed("layout", str(error), found.dataset.root))
        return found
    found.findings += _told(found.dataset, found.scan, broken)
    return found


def _told(dataset: FolderDataset, scan: Scan, no_table: bool) -> Iterable[Finding]:
    problems = dataset.problems
    yield from (placed(dataset.finding_code(problem), problem, dataset.root) for problem in problems)
    known = {f"left out: {problem}" for problem in problems}
    for notice in scan.notices:
        if notice not in known and not (no_table and NAME in notice):
            yield placed("loader", notice, dataset.root)


def placed(code: str, message: str, root: Path) -> Finding:
    """Return a loader's sentence as a finding; the path at its beginning is taken out of the text."""
    path, text = _leading_path(message, root)
    what, remedy = split_message(text)
    if re.match(r"line \d+:", what):
        remedy = remedy or "Mend or remove the line."
    if " has no other half" in f" {what}":
        remedy = remedy or "Put the missing half there, or remove the one that is alone."
    return Finding(code, path, what, remedy)


def _leading_path(message: str, root: Path) -> tuple[str, str]:
    """Split off the longest path at the beginning that exists below ``root``; names may hold blanks and colons.

    The path is relative to ``root``. For a missing file it is that of the folder.
    """
    if not message.startswith(str(root)):
        return ".", message
    ends = [match.start() for match in re.finditer(r"[ :,/]|$", message[:LONGEST_PATH])]
    for place in reversed(ends):
        path = message[:place]
        if len(path) >= len(str(root)) and _exists(path):
            return Path(path).relative_to(root).as_posix(), message[place:].lstrip(" :,/")
    return ".", message


def _exists(path: str) -> bool:
    try:
        return Path(path).exists() or Path(path).is_symlink()
    except (OSError, ValueError):
        return False
