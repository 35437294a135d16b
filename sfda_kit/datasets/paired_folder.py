"""Loader of a user's own cameras: ``<root>/<domain>/<modality>/<class>/<stem>.<ext>``, halves matched by stem."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sfda_kit.data.images import IMAGE_SUFFIXES, is_image_name, missing_half
from sfda_kit.data.walk import list_folder, require_folder
from sfda_kit.datasets.folder_dataset import FolderDataset, Scan, SceneRow
from sfda_kit.datasets.groups import told_groups
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import Split
from sfda_kit.plugins.modalities import EveryModality, is_modality, modality_names

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

NYU11 = Split(
    tr_classes=(
        "bed",
        "bookshelf",
        "chair",
        "lamp",
        "night_stand",
        "pillow",
        "sink",
        "sofa",
        "table",
        "television",
        "toilet",
    ),
    ti_classes=("bathtub", "box", "counter", "desk", "door", "dresser"),
)
"""Object crops of NYU Depth V2, the kind of task that ADDA (CVPR 2017) used for RGB to depth."""
NYU11_TI21 = Split(
    NYU11.tr_classes,
    (
        *("bag", "bathtub", "blinds", "books", "box", "cabinet", "clothes", "counter", "curtain", "desk", "door"),
        *("dresser", "mirror", "paper", "picture", "refrigerator", "shelves", "shower_curtain", "towel"),
        *("whiteboard", "window"),
    ),
)
"""The same relevant classes, with pairs of all the other objects that ``data make-crops nyuv2`` cuts out."""
NAMED = {"nyu11": NYU11, "nyu11-ti21": NYU11_TI21}


class PairedFolder(FolderDataset):
    """The user names TR and TI classes. Groups come from groups.csv or a pattern; else each stem is its own group."""

    summary = "your own cameras: <root>/<domain>/<modality>/<class>/<stem>.<ext>, paired by stem"
    modalities = EveryModality()

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` holds one folder per domain; ``config.unit`` is mm unless given."""
        super().__init__(config)
        self.root = require_folder(config.root, "--data-root")
        self.mark_synthetic()
        if config.options:
            raise UserError(f"paired-folder has no options, got {', '.join(config.options)}. Leave them out.")

    def splits(self) -> dict[str, Split]:
        """Return ``default`` with the classes that the user names, and splits of ``NAMED`` with classes on the disk."""
        config, classes = self.config, self.index().classes
        known = {
            name: split
            for name, split in NAMED.items()
            if _held(split.tr_classes, classes) >= 2 and _held(split.ti_classes, classes) >= 1
        }
        if not config.tr_classes and config.split is None:
            raise UserError(
                f"{self.root}: say which classes are task-relevant and which only serve as pairs, with "
                f"--tr-classes A,B --ti-classes C,D"
                + "".join(f" or --split {name}" for name in known)
                + f". Classes found: {', '.join(classes)}."
            )
        spelt = {"default": Split(config.tr_classes, config.ti_classes or ())} if config.tr_classes else {}
        return spelt | known

    def scan(self) -> Scan:
        """List the three levels of folders. Incomplete pairs are an error, or left out with ``skip_bad``."""
        rows: list[SceneRow] = []
        problems: list[str] = []
        notices: list[str] = []
        for domain in list_folder(self.root).folders:
            found = _modalities(self.root, domain, notices)
            self._require(domain, found)
            used = [name for name in found if name in self._wanted()] or found
            for pairing in _pairings(self.root, domain, used, notices):
                rows += pairing.rows
                problems += pairing.problems
        if not rows and not problems:
            raise DataError(_nothing_found(self.root))
        notices += self.settle(problems, len(rows) + len(problems))
        fallback = "each such stem is its own group"
        told = told_groups(self.root, [row.name for row in rows], self.config.group_pattern, fallback)
        if not any(told.keys):
            notices.append(
                f"{self.root} has no groups.csv and no --group-pattern was given: each stem is its own "
                "group, so images of one place may lie on both sides of a split."
            )
        groups = [key or f"stem {_stem(row.name)}" for key, row in zip(told.keys, rows, strict=True)]
        return Scan(rows, groups, None, (*notices, *told.notices))

    def _require(self, domain: str, found: Sequence[str]) -> None:
        for sensor in (self.config.source, self.config.target):
            wanted, _, of = sensor.partition("@")
            if of == domain and is_modality(wanted) and wanted not in found:
                raise DataError(
                    f"{sensor}: {self.root / domain} has no folder {wanted!r}; it holds {', '.join(found) or 'none'}."
                )

    def _wanted(self) -> set[str]:
        """Return the modalities of this task, in which pairs must be complete; a third camera may have gaps."""
        return {sensor.partition("@")[0] for sensor in (self.config.source, self.config.target)}


class _Pairing(NamedTuple):
    rows: list[SceneRow]
    problems: list[str]


def _held(names: Sequence[str], classes: Sequence[str]) -> int:
    return len(set(names) & set(classes))


def _modalities(root: Path, domain: str, notices: list[str]) -> list[str]:
    folders = list_folder(root / domain).folders
    unknown = [name for name in folders if not is_modality(name)]
    if unknown:
        notices.append(
            f"{root / domain}: left out {', '.join(unknown)}; modality folders are {', '.join(modality_names())}."
        )
    return [name for name in folders if is_modality(name)]


def _pairings(root: Path, domain: str, modalities: list[str], notices: list[str]) -> Iterator[_Pairing]:
    held = {name: set(list_folder(root / domain / name).folders) for name in modalities}
    for scene_class in sorted(set().union(*held.values())):
        files = {
            name: _by_stem(root / domain / name / scene_class) if scene_class in held[name] else {}
            for name in modalities
        }
        if not any(files.values()):
            notices.append(f"{root / domain}: class {scene_class!r} left out, its folders hold no image.")
            continue
        yield _pair(root, domain, scene_class, files)


def _by_stem(folder: Path) -> dict[str, str]:
    """Return stem -> file name. Raises ``DataError`` where two files share a stem, as either could be the half."""
    names: dict[str, str] = {}
    for name in list_folder(folder).files:
        if not is_image_name(name):
            continue
        stem = _stem(name)
        if stem in names:
            raise DataError(f"{folder} holds {names[stem]!r} and {name!r} with one stem. Keep one of them.")
        names[stem] = name
    return names


def _pair(root: Path, domain: str, scene_class: str, files: dict[str, dict[str, str]]) -> _Pairing:
    rows: list[SceneRow] = []
    problems: list[str] = []
    for stem in sorted(set().union(*files.values())):
        lacking = [name for name, names in files.items() if stem not in names]
        if lacking:
            held = next(root / domain / m / scene_class / names[stem] for m, names in files.items() if stem in names)
            expected = root / domain / lacking[0] / scene_class / stem
            problems.append(missing_half(held, expected))
            continue
        paths = {name: f"{domain}/{name}/{scene_class}/{names[stem]}" for name, names in files.items()}
        rows.append(SceneRow(f"{domain}/{scene_class}/{stem}", domain, scene_class, paths))
    return _Pairing(rows, problems)


def _stem(name: str) -> str:
    """Return the name without folder and suffix, in form NFC: some systems store accents apart from their letters."""
    last = name.rpartition("/")[2]
    return unicodedata.normalize("NFC", last[: last.rindex(".")] if last.lower().endswith(IMAGE_SUFFIXES) else last)


def _nothing_found(root: Path) -> str:
    found = ", ".join(list_folder(root).folders[:8]) or "no folder"
    return (
        f"{root} holds no image laid out as <domain>/<modality>/<class>/<stem>.<ext> with a modality of "
        f"{', '.join(modality_names())}; found {found}. Move the files into that layout."
    )
