"""Images told by a table (CSV or TSV): any arrangement of files, paired or not, with or without roles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from sfda_kit.data.dataset_options import DatasetOptions
from sfda_kit.data.folder_dataset import Row, Scan
from sfda_kit.data.groups import groups_or_own
from sfda_kit.data.list_table import Line, read_table
from sfda_kit.data.modality import MODALITIES
from sfda_kit.data.split_folder import SplitFolder
from sfda_kit.data.walk import require_folder
from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import PARTS, Split

if TYPE_CHECKING:
    from sfda_kit.config import DatasetConfig

TABLES = ("list.csv", "list.tsv")


class ListFileOptions(DatasetOptions):
    """``images``: the folder that paths begin at; default: that of the table."""

    images: Path | None = Field(default=None)


class ListFile(SplitFolder):
    """Lines of one domain and pair id are one scene; a line without a pair id is a scene of its own.

    ``role`` is the part that a scene plays; scenes without one are dealt by groups.
    """

    name = "list-file"
    summary = "a CSV or TSV table: path, class, domain, modality, pair, role, group"
    modalities = tuple(MODALITIES)
    options_model = ListFileOptions
    options: ListFileOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is the table, or a folder with ``list.csv`` or ``list.tsv``."""
        super().__init__(config)
        self.table = _table(config.root)
        images = self.options.images
        self.root = require_folder(images, "dataset.options.images") if images else self.table.parent
        self.mark_synthetic()

    def splits(self) -> Mapping[str, Split]:
        """``roles`` first where the table has roles: classes of source and target are TR, those of ti are TI."""
        index, named = self.index(), super().splits()
        of = {code: {int(label) for label in index.label[index.part == code]} for code in range(len(PARTS))}
        relevant, irrelevant = sorted(of[0] | of[1] | of[2]), sorted(of[3])
        if not relevant:
            return named
        names = index.classes
        roles = Split(tuple(names[code] for code in relevant), tuple(names[code] for code in irrelevant))
        return {"roles": roles, **named}

    def scan(self) -> Scan:
        """Read the table. Lines and scenes that cannot be used are an error, or left out with ``skip_bad``."""
        lines, problems = read_table(self.table, self.root)
        rows: list[Row] = []
        roles: list[str] = []
        told: list[str] = []
        for name, scene in _scenes(lines).items():
            if why := _contradiction(scene) or self._lacking(scene):
                problems.append(f"{self.table} line {scene[0].number}: {why}")
                continue
            first = scene[0]
            rows.append(Row(name, first.domain, first.scene_class, {line.modality: line.path for line in scene}))
            roles.append(first.role)
            told.append(first.group)
        notices = self.settle(problems, len(rows) + len(problems))
        if not rows:
            raise DataError(f"{self.table} names no image. Write one line for each.")
        groups, more = self._groups(rows, told)
        parts = [PARTS.index(role) if role else -1 for role in roles]
        return Scan(rows, groups, parts, (*notices, *more))

    def _groups(self, rows: list[Row], told: list[str]) -> tuple[list[str], tuple[str, ...]]:
        """From the column, else as for other folders."""
        if all(told):
            return told, ()
        groups, notices = groups_or_own(self.root, [row.name for row in rows], self.config.group_pattern)
        return [own or other for own, other in zip(told, groups, strict=True)], notices

    def _lacking(self, scene: list[Line]) -> str:
        """The half that the task takes from such a scene and that no line gives."""
        first, held = scene[0], {line.modality for line in scene}
        source, target = (sensor.partition("@") for sensor in (self.config.source, self.config.target))
        needed = set()
        if first.role in ("", "source", "ti") and first.domain == (source[2] or first.domain):
            needed.add(source[0])
        if first.role != "source" and first.domain == (target[2] or first.domain):
            needed.add(target[0])
        if first.role == "ti" and first.domain == (target[2] or first.domain):
            needed |= {source[0], target[0]}
        if not needed - held:
            return ""
        return (
            f"{first.path!r} has no {' and no '.join(sorted(needed - held))} half; add a line with the same pair id, "
            "or a role that needs one half only (source, target-train, target-test)"
        )


def _scenes(lines: list[Line]) -> dict[str, list[Line]]:
    """Name -> its lines. Names are unique: domain and pair id, or the path."""
    scenes: dict[str, list[Line]] = {}
    for line in lines:
        scenes.setdefault(f"{line.domain}/pair {line.pair}" if line.pair else line.path, []).append(line)
    return scenes


def _contradiction(scene: list[Line]) -> str:
    first = scene[0]
    for line in scene[1:]:
        for what in ("scene_class", "role", "group"):
            here, there = getattr(first, what), getattr(line, what)
            if here != there:
                name = what.removeprefix("scene_")
                return f"pair {first.pair!r} has {name} {here!r} here and {there!r} on line {line.number}; keep one"
    if len({line.modality for line in scene}) < len(scene):
        numbers = ", ".join(str(line.number) for line in scene)
        return f"pair {first.pair!r} has two lines of one modality (lines {numbers}); keep one of each"
    return ""


def _table(root: Path | None) -> Path:
    if root is not None and root.expanduser().is_file():
        return root.expanduser().absolute()
    folder = require_folder(root, "--data-root")
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) != 1:
        raise DataError(
            f"--data-root {folder} holds {'both list.csv and' if found else 'neither list.csv nor'} list.tsv. Give the "
            "path of the table itself."
        )
    return found[0]
