"""Loader of images that a table (CSV or TSV) lists: any arrangement of files, paired or not, with or without roles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from sfda_kit.data.walk import require_folder
from sfda_kit.datasets.dataset_options import DatasetOptions
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.list_table import Line, read_table
from sfda_kit.datasets.role_folder import RoleFolder, part_codes
from sfda_kit.errors import DataError
from sfda_kit.plugins.modalities import EveryModality

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

TABLES = ("list.csv", "list.tsv")


class ListFileOptions(DatasetOptions):
    """``images``: the folder at which paths begin; the default is that of the table."""

    images: Path | None = Field(default=None)


class ListFile(RoleFolder):
    """Lines of one domain and pair id are one scene; a line without a pair id is a scene of its own."""

    name = "list-file"
    summary = "a CSV or TSV table: path, class, domain, modality, pair, role, group"
    modalities = EveryModality()
    options_model = ListFileOptions
    options: ListFileOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is the table, or a folder with ``list.csv`` or ``list.tsv``."""
        super().__init__(config)
        self.table = _table(config.root)
        images = self.options.images
        self.root = require_folder(images, "dataset.options.images") if images else self.table.parent
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Read the table. Lines and scenes that cannot be used are an error, or left out with ``skip_bad``."""
        lines, problems = read_table(self.table, self.root)
        rows: list[SceneRow] = []
        roles: list[str] = []
        told: list[str] = []
        for name, scene in _scenes(lines).items():
            if why := _contradiction(scene) or self._lacking(scene):
                problems.append(f"{self.table} line {scene[0].number}: {why}")
                continue
            first = scene[0]
            rows.append(SceneRow(name, first.domain, first.scene_class, {line.modality: line.path for line in scene}))
            roles.append(first.role)
            told.append(first.group)
        notices = self.settle(problems, len(rows) + len(problems))
        if not rows:
            raise DataError(f"{self.table} names no image. Write one line for each.")
        groups, more = self.groups_of(rows, told)
        return Scan(rows, groups, part_codes(roles), (*notices, *more))

    def _lacking(self, scene: list[Line]) -> str:
        """Return which half a scene lacks that the task needs, and what to do; empty where it lacks none."""
        first = scene[0]
        lacking = self.lacking(first.domain, first.role, {line.modality for line in scene})
        if not lacking:
            return ""
        return (
            f"{first.path!r} has no {' and no '.join(lacking)} half; add a line with the same pair id, "
            "or a role that needs one half only (source, target-train, target-test)"
        )


def _scenes(lines: list[Line]) -> dict[str, list[Line]]:
    """Return the lines of each scene by its unique name, which is domain and pair id, or the path."""
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
