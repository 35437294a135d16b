"""Loader of NYU Depth V2's official labelled file: 1,449 frames of indoor scenes by a Kinect v1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sfda_kit.datasets.dataset_options import DatasetOptions
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import told_groups
from sfda_kit.datasets.nyuv2_mat import FILE, MatReader, open_labelled, room_of
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.errors import DataError, UserError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig

DOMAIN = "kinect1"


class Nyuv2Options(DatasetOptions):
    """``depth``: filled in by the authors, or raw as the sensor measured it, with holes."""

    depth: Literal["filled", "raw"] = Field(default="filled")


class Nyuv2(SplitFolder):
    """Classes are scene types, groups are videos, and the only domain is ``kinect1``."""

    name = "nyuv2"
    summary = "NYU Depth V2, the official labelled file: RGB and depth of indoor scenes"
    modalities = ("rgb", "depth")
    licence = "research use; see the page of the data set"
    citation = "Silberman, Hoiem, Kohli, Fergus: Indoor Segmentation and Support Inference from RGBD Images. ECCV 2012"
    in_one_file: ClassVar[bool] = True
    options_model = Nyuv2Options
    options: Nyuv2Options

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is the file or the folder that holds it."""
        super().__init__(config)
        self.mat = _locate(config.root)
        self.root = self.mat.parent
        self.reader = MatReader(self.mat.stat().st_size, self.options.depth == "raw")
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Return the scene of each frame. Raises ``DataError`` where the file is damaged or not the official one."""
        with open_labelled(self.mat) as mat:
            scenes, types = mat.scenes, mat.scene_types
        rows = []
        for number, kind in enumerate(types, start=1):
            frame = f"{self.mat.name}/{number:04d}"
            rows.append(SceneRow(f"{kind}/nyu{number:04d}", DOMAIN, kind, {"rgb": frame, "depth": frame}))
        told = told_groups(self.root, [row.name for row in rows], self.config.group_pattern, "they go by video")
        groups = [key or room_of(scene) for key, scene in zip(told.keys, scenes, strict=True)]
        return Scan(rows, groups, None, told.notices)


def _locate(root: Path | None) -> Path:
    if root is None:
        raise UserError(f"nyuv2 needs --data-root: {FILE}, or the folder that holds it.")
    root = root.expanduser().absolute()
    found = root / FILE if root.is_dir() else root
    if not found.is_file():
        raise DataError(
            f"--data-root {root} is not NYU Depth V2: expected {FILE} or the folder that holds it. Download it from "
            "the page of the data set."
        )
    return found
