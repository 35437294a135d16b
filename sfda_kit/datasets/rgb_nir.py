"""Loader of EPFL RGB-NIR Scene: 477 outdoor and indoor places photographed in colour and near infrared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.data.walk import find_holder, list_folder, require_folder
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import groups_or_own
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

CATEGORIES = ("country", "field", "forest", "indoor", "mountain", "oldbuilding", "street", "urban", "water")
DOMAIN = "epfl"
_HALVES = {"rgb": "_rgb", "nir": "_nir"}
_SUFFIXES = (".tiff", ".tif", ".png", ".jpg")
_DEEPEST = 3


class RgbNir(SplitFolder):
    """A pair is ``nirscene1/<category>/NNNN_rgb.tiff`` and ``NNNN_nir.tiff``. The only domain is ``epfl``."""

    name = "rgb-nir"
    summary = "EPFL RGB-NIR Scene: pairs of colour and near infrared, 9 categories"
    modalities = ("rgb", "nir")
    licence = "research use; see the page of the data set"
    citation = "Brown, Susstrunk: Multispectral SIFT for Scene Category Recognition. CVPR 2011"

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is ``nirscene1`` or a folder above it."""
        super().__init__(config)
        self.root = _locate(require_folder(config.root, "--data-root"))
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Match ``_rgb`` with ``_nir`` files. Incomplete pairs are an error, or left out with ``skip_bad``."""
        rows: list[SceneRow] = []
        problems: list[str] = []
        notices: list[str] = []
        for folder in list_folder(self.root).folders:
            if folder.lower() not in CATEGORIES:
                notices.append(f"{self.root}: left out {folder}/, which is no category of the set")
                continue
            before = len(rows) + len(problems)
            self._pair(folder, rows, problems, notices)
            if len(rows) + len(problems) == before:
                notices.append(f"{self.root / folder}: category left out, it holds no pair")
        notices += self.settle(problems, len(rows) + len(problems))
        if not rows:
            raise DataError(f"{self.root} holds no complete pair NNNN_rgb.tiff, NNNN_nir.tiff. Unpack it again.")
        groups, told = groups_or_own(self.root, [row.name for row in rows], self.config.group_pattern)
        return Scan(rows, groups, None, (*notices, *told))

    def _pair(self, folder: str, rows: list[SceneRow], problems: list[str], notices: list[str]) -> None:
        halves: dict[str, dict[str, str]] = {name: {} for name in _HALVES}
        others = []
        for name in list_folder(self.root / folder).files:
            modality, stem = _half(name)
            if modality is None:
                others.append(name)
            elif stem in halves[modality]:
                raise DataError(
                    f"{self.root / folder} holds {halves[modality][stem]!r} and {name!r}. Keep one of them."
                )
            else:
                halves[modality][stem] = name
        if others:
            notices.append(f"{self.root / folder}: left out {len(others)} other files, such as {others[0]}")
        for stem in sorted(set(halves["rgb"]) | set(halves["nir"])):
            files = {name: f"{folder}/{names[stem]}" for name, names in halves.items() if stem in names}
            if len(files) == len(halves):
                rows.append(SceneRow(f"{folder}/{stem}", DOMAIN, folder.lower(), files))
            else:
                expected = next(f"{stem}{end}.tiff" for name, end in _HALVES.items() if name not in files)
                held = self.root / next(iter(files.values()))
                problems.append(f"{held} has no other half: expected {expected} beside it")


def _half(name: str) -> tuple[str | None, str]:
    """Return modality and stem: ``0001_rgb.tiff`` -> (rgb, 0001); the modality of any other file is None."""
    stem, dot, suffix = name.lower().rpartition(".")
    for modality, end in _HALVES.items():
        if dot + suffix in _SUFFIXES and stem.endswith(end):
            return modality, name[: len(stem) - len(end)]
    return None, name


def _locate(root: Path) -> Path:
    """Return the first folder at or below ``root`` that holds folders of the categories."""
    if found_in := find_holder(root, CATEGORIES, _DEEPEST):
        return found_in
    found = ", ".join(list_folder(root).folders[:8]) or "no folder"
    raise DataError(
        f"--data-root {root} is not RGB-NIR Scene: expected folders {CATEGORIES[0]} to {CATEGORIES[-1]} in it or in "
        f"its nirscene1/, found {found}. Unpack nirscene1.zip there."
    )
