"""Loader of DIML/CVL RGB-D in its published folders: the samples or the full release, indoor and outdoor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from sfda_kit.data.group_split import split_around_test
from sfda_kit.data.walk import list_folder, require_folder
from sfda_kit.datasets.dataset_options import DatasetOptions
from sfda_kit.datasets.diml_frames import DimlFolder, Pair, find_places, pair_up, runs
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import told_groups
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig


class DimlOptions(DatasetOptions):
    """``resolution``: that of the samples to use. ``parts``: keep the official test frames, or split all by groups."""

    resolution: Literal["LR", "HR"] = Field(default="LR")
    parts: Literal["official", "groups"] = Field(default="official")


class Diml(SplitFolder):
    """Domains: ``indoor``, and ``outdoor`` where its frames lie in folders of scenes. Depth is in millimetres."""

    name = "diml"
    summary = "DIML/CVL RGB-D: colour and depth of 18 indoor scenes, samples or full release"
    modalities = ("rgb", "depth")
    licence = "research use; see the page of the data set"
    citation = "Cho, Min, Kim, Sohn: DIML/CVL RGB-D Dataset. arXiv 2110.11590"
    options_model = DimlOptions
    options: DimlOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` holds ``indoor``, or ``train`` and ``test`` where the folder ``indoor`` was left out."""
        super().__init__(config)
        self.root = require_folder(config.root, "--data-root")
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Find all pairs below the root. A half without its other half is an error, or left out with ``skip_bad``."""
        pairs: list[Pair] = []
        problems: list[str] = []
        notices: list[str] = []
        for place in self._places(notices):
            found, alone = pair_up(self.root, place)
            pairs += found
            problems += alone
            if not found and not alone:
                notices.append(f"{self.root / place.folder}: left out, it holds no image")
        notices += self.settle(problems, len(pairs) + len(problems))
        if not pairs:
            raise DataError(f"{self.root} holds no complete pair of colour and depth. Unpack the archives again.")
        groups, told = self._groups(pairs)
        parts, groups = self._parts(pairs, groups)
        rows = [_row(pair) for pair in pairs]
        return Scan(rows, groups, parts, (*notices, *told))

    def _places(self, notices: list[str]) -> list[DimlFolder]:
        """Return the folders of the chosen resolution that have a scene; add a notice for those without a scene."""
        found = find_places(self.root)
        if not found:
            names = ", ".join(list_folder(self.root).folders[:8]) or "no folder"
            raise DataError(
                f"--data-root {self.root} is not DIML: expected folders color/ with depth_filled/ (samples) or col/ "
                f"with up_png/ (full release) below it, found {names}. Unpack the archives there."
            )
        sized = [place for place in found if place.resolution in ("", self.options.resolution)]
        if not sized:
            held = ", ".join(sorted({place.resolution for place in found}))
            raise DataError(
                f"{self.root} holds {held} only, and {self.options.resolution} was asked for. "
                f"Use --set dataset.options.resolution={held}."
            )
        notices += [
            f"{self.root / place.folder}: left out, because its path names no scene and so its frames have no class"
            for place in sized
            if not place.scene
        ]
        named = [place for place in sized if place.scene]
        if not named:
            raise DataError(
                f"{self.root}: no frame lies in a folder of a scene, so none has a class (the outdoor samples are "
                "such). Give the folder with the indoor frames."
            )
        return named

    def _groups(self, pairs: list[Pair]) -> tuple[list[str], tuple[str, ...]]:
        names = [_row(pair).name for pair in pairs]
        told = told_groups(self.root, names, self.config.group_pattern, "they are grouped by runs of frames")
        return [key or run for key, run in zip(told.keys, runs(pairs), strict=True)], told.notices

    def _parts(self, pairs: list[Pair], groups: list[str]) -> tuple[list[int] | None, list[str]]:
        is_test = np.array([pair.place.part == "test" for pair in pairs])
        if self.options.parts == "groups" or not is_test.any() or is_test.all():
            return None, groups
        strata = [f"{pair.place.domain} {pair.place.scene}" for pair in pairs]
        return split_around_test(strata, groups, is_test, self.config.split_seed, self.config.shares)


def _row(pair: Pair) -> SceneRow:
    return SceneRow(f"{pair.place.folder}/{pair.key}", pair.place.domain, pair.place.scene, pair.files)
