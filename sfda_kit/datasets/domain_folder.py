"""Loader of classic source-free sets: ``<root>/<domain>/<class>/<name>.<ext>``, one modality, no pairs."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sfda_kit.data.group_split import split_in_two
from sfda_kit.data.images import is_image_name
from sfda_kit.data.walk import list_folder, require_folder
from sfda_kit.datasets.dataset_options import DatasetOptions, ModalityName
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import groups_or_own
from sfda_kit.datasets.image_lists import class_of, find_list, read_list
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import PARTS, Index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sfda_kit.config.models import DatasetConfig


_LEAST = 1e-9
"""A share so small that only one group of each class is held out: the second one drawn."""


class DomainFolderOptions(DatasetOptions):
    """``modality``: that of all images. ``held_out``: share of the target images that only the evaluation sees.

    ``held_out: one`` holds out a single group of each class (one image, unless groups are given). It is nearest to
    published protocols, which adapt to all target images and are scored on them. ``lists``: whether list files restrict
    a domain to the images that they name.
    """

    modality: ModalityName = Field(default="rgb")
    held_out: Literal["one"] | Annotated[float, Field(gt=0, lt=1)] = Field(default=0.2)
    lists: bool = Field(default=True)


class DomainFolder(SplitFolder):
    """The source is all images of one domain, the target those of another; ``held_out`` of them serve evaluation only.

    Where source and target are one domain, its images are split into the three parts as in any other set.
    """

    name = "domain-folder"
    summary = "one modality, one folder a domain: Office-31, Office-Home, VisDA-C, DomainNet-126, your own"
    modalities = ("rgb",)
    options_model = DomainFolderOptions
    options: DomainFolderOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` holds one folder per domain, or one folder that holds these."""
        super().__init__(config)
        self.modalities = (self.options.modality,)  # type: ignore[misc]  # here it follows from an option
        self._sensors = [sensor.partition("@")[2] for sensor in (config.source, config.target)]
        self.root = _locate(require_folder(config.root, "--data-root"), self._sensors)
        self.mark_synthetic()

    def scan(self) -> Scan:
        """List the classes of each domain, or read its list file."""
        rows: list[SceneRow] = []
        problems: list[str] = []
        notices: list[str] = []
        for folder in list_folder(self.root).folders:
            listing = find_list(self.root, folder) if self.options.lists else None
            if listing:
                found, unusable = self._listed(folder, listing)
                notices.append(f"{listing}: {len(found)} images of {domain_name(folder)} are taken from this list")
                problems += unusable
            else:
                found = self._from_folders(folder, notices)
            rows += found
        notices += self.settle(problems, len(rows) + len(problems))
        if not rows:
            found_here = ", ".join(list_folder(self.root).folders[:8]) or "no folder"
            raise DataError(
                f"{self.root} holds no image laid out as <domain>/<class>/<name>.<ext>; found {found_here}. "
                "Move the files into that layout."
            )
        groups, told = groups_or_own(self.root, [_stem(row.name) for row in rows], self.config.group_pattern)
        return Scan(rows, groups, None, (*notices, *told))

    def index(self) -> Index:
        """Return all images; their parts follow from the two domains of the task."""
        return self._divided

    @cached_property
    def _divided(self) -> Index:
        # Not set in the scan: the fingerprint, and so a source model's key, must not depend on the target's domain.
        index = super().index()
        if not set(self._sensors) <= set(index.domains) or len(set(self._sensors)) == 1:
            return index
        source, target = (index.domains.index(name) for name in self._sensors)
        part = np.where(index.domain == source, PARTS.index("source"), index.part).astype(np.int8)
        rows = np.flatnonzero(index.domain == target)
        groups = [str(index.group[row]) for row in rows]
        strata = [str(index.label[row]) for row in rows]
        held_out = _LEAST if self.options.held_out == "one" else self.options.held_out
        in_training = split_in_two(strata, groups, 1 - held_out, self.config.split_seed)
        codes = {True: PARTS.index("target-train"), False: PARTS.index("target-test")}
        part[rows] = [codes[in_training[group]] for group in groups]
        return replace(index, part=part, notices=(*index.notices, *self._unshared(index), *self._published(part)))

    def _published(self, part: NDArray[np.int8]) -> tuple[str, ...]:
        if self.options.held_out != "one":
            return ()
        trained, tested = (int((part == PARTS.index(name)).sum()) for name in ("target-train", "target-test"))
        return (
            f"held_out=one: the transductive score, on the {trained} of {trained + tested} target images that the "
            f"method adapts to, is the one to compare with published numbers; the held-out score is of {tested} images",
        )

    def shared_classes(self) -> tuple[str, ...]:
        """Return the classes that the source and the target domain both have."""
        index = super().index()
        if not set(self._sensors) <= set(index.domains):
            return index.classes
        held = [set(index.label[index.domain == index.domains.index(name)]) for name in self._sensors]
        return tuple(name for code, name in enumerate(index.classes) if all(code in labels for labels in held))

    def _unshared(self, index: Index) -> tuple[str, ...]:
        lacking = sorted(set(index.classes) - set(self.shared_classes()))
        if not lacking or self.config.tr_classes:
            return ()
        shown = ", ".join(lacking[:8]) + (" ..." if len(lacking) > 8 else "")
        return (f"{len(lacking)} classes are not in both {' and '.join(self._sensors)}: {shown}",)

    def _listed(self, folder: str, listing: Path) -> tuple[list[SceneRow], list[str]]:
        listed, problems = read_list(self.root, folder, listing)
        rows = []
        for entry in listed:
            scene_class = class_of(entry, self._named["visda-c"].resolve((), {}).tr_classes)
            if scene_class is None:
                problems.append(f"{listing}: {entry.path} lies in no folder of a class and has no known number")
                continue
            rows.append(self._row(folder, scene_class, entry.path))
        return rows, problems

    def _from_folders(self, folder: str, notices: list[str]) -> list[SceneRow]:
        base = f"{folder}/images" if list_folder(self.root / folder).folders == ("images",) else folder
        top = list_folder(self.root / base)
        if loose := [name for name in top.files if is_image_name(name)]:
            notices.append(f"{self.root / base}: left out {len(loose)} images in no class, such as {loose[0]}")
        rows = []
        for scene_class in top.folders:
            held = list_folder(self.root / base / scene_class)
            images = [name for name in held.files if is_image_name(name)]
            if not images:
                notices.append(f"{self.root / base / scene_class}: class left out, the folder holds no image")
            rows += [self._row(folder, scene_class, f"{base}/{scene_class}/{name}") for name in images]
        return rows

    def _row(self, folder: str, scene_class: str, path: str) -> SceneRow:
        return SceneRow(path, domain_name(folder), scene_class, {self.options.modality: path})


def domain_name(folder: str) -> str:
    """Return the folder's name. Office-Home's ``Real World``, which is spelt in several ways, becomes ``RealWorld``."""
    return "RealWorld" if folder.lower().replace(" ", "").replace("_", "") == "realworld" else folder


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _locate(root: Path, domains: list[str]) -> Path:
    """Return ``root``, or the one folder in it that holds the domains (``Original_images`` of some archives)."""
    wanted = set(domains)
    if "" in wanted:
        raise UserError("domain-folder needs the domains of the task: --source rgb@DOMAIN --target rgb@DOMAIN.")
    for folder in (root, *(root / name for name in list_folder(root).folders)):
        if wanted & {domain_name(name) for name in list_folder(folder).folders}:
            return folder
    return root
