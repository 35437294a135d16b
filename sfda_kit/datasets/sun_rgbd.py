"""Loader of SUN RGB-D in its official folders: four sensors, RGB and depth, indoor scene classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sfda_kit.data.walk import require_folder
from sfda_kit.datasets.dataset_options import DatasetOptions
from sfda_kit.datasets.folder_dataset import Scan, SceneRow
from sfda_kit.datasets.groups import told_groups
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.datasets.sun_rgbd_frames import SENSORS, SunRgbdFrame, find_frames, runs
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig


class SunRgbdOptions(DatasetOptions):
    """``depth``: refined (``depth_bfx``) or as measured. ``parts``: split by groups, or official."""

    depth: Literal["depth_bfx", "depth"] = Field(default="depth_bfx")
    parts: Literal["groups", "allsplit"] = Field(default="groups")


class SunRgbd(SplitFolder):
    """Reads the official layout. Groups are runs of consecutive frames of one scene, or whole videos."""

    name = "sun-rgbd"
    summary = "SUN RGB-D in its official layout: RGB and depth of four sensors, indoor scenes"
    modalities = ("rgb", "depth")
    licence = "research use; see the terms of SUN RGB-D"
    citation = "Song, Lichtenberg, Xiao: SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite. CVPR 2015"
    default_unit: ClassVar[str] = "sun-rgbd-bits"
    options_model = SunRgbdOptions
    options: SunRgbdOptions

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is ``SUNRGBD`` or its parent; ``config.options`` are ``SunRgbdOptions``."""
        super().__init__(config)
        self.root = _locate(require_folder(config.root, "--data-root"))
        self.mark_synthetic()

    def scan(self) -> Scan:
        """Find all frames below the root. Incomplete frames are an error, or left out with ``skip_bad``."""
        frames, problems = find_frames(self.root, self.options.depth)
        if not frames and not problems:
            raise DataError(f"{self.root} holds no frame (a folder with image/, depth/ and scene.txt).")
        notices = self.settle(problems, len(frames) + len(problems))
        groups, told = self._groups(frames)
        parts: list[int] | None = None
        if self.options.parts == "allsplit":
            from sfda_kit.datasets.sun_rgbd_official import official_parts

            parts, groups, untold = official_parts(self.root, frames, groups, self.config)
            told += untold
        rows = [SceneRow(frame.path, frame.sensor, frame.scene, frame.files) for frame in frames]
        return Scan(rows, groups, parts, notices + told)

    def _groups(self, frames: list[SunRgbdFrame]) -> tuple[list[str], tuple[str, ...]]:
        fallback = "they are grouped by runs of one scene"
        names = [frame.path for frame in frames]
        told = told_groups(self.root, names, self.config.group_pattern, fallback)
        groups = [key or run for key, run in zip(told.keys, runs(frames), strict=True)]
        return groups, told.notices


def _locate(root: Path) -> Path:
    """Return ``SUNRGBD`` itself, where ``root`` is that folder or its parent."""
    for candidate in (root, root / "SUNRGBD"):
        if any((candidate / sensor).is_dir() for sensor in SENSORS):
            return candidate
    found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    raise DataError(
        f"--data-root {root} is not SUN RGB-D: expected folders {', '.join(SENSORS)} in it or in its "
        f"SUNRGBD/, found {found}. Unpack SUNRGBD.zip there."
    )
