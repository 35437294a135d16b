"""SUN RGB-D as it lies on a user's disk: four sensors, RGB and depth, indoor scene classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sfda_kit.data.folder_dataset import FolderDataset, Row, Scan
from sfda_kit.data.groups import told_groups
from sfda_kit.data.sun_rgbd_frames import SENSORS, Frame, find_frames, runs
from sfda_kit.data.twin_layout import SYNTHETIC_MARK
from sfda_kit.data.walk import require_folder
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import Split

if TYPE_CHECKING:
    from sfda_kit.config import DatasetConfig
    from sfda_kit.data.depth_units import DepthUnit

SOCKET17 = (
    "bathroom",
    "classroom",
    "computer_room",
    "conference_room",
    "corridor",
    "discussion_area",
    "home_office",
    "idk",
    "kitchen",
    "lab",
    "living_room",
    "office",
    "office_kitchen",
    "printer_room",
    "reception_room",
    "rest_space",
    "study_space",
)
"""The scene names common to all four sensors (SOCKET, ECCV 2022)."""


class SunRgbdOptions(BaseModel):
    """``depth``: refined (``depth_bfx``) or as measured. ``parts``: dealt by groups, or official."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    depth: Literal["depth_bfx", "depth"] = Field(default="depth_bfx")
    parts: Literal["groups", "allsplit"] = Field(default="groups")


class SunRgbd(FolderDataset):
    """Reads the official layout. Groups are runs of consecutive frames of one scene, or whole videos."""

    summary = "SUN RGB-D in its official layout: RGB and depth of four sensors, indoor scenes"
    modalities = ("rgb", "depth")
    licence = "research use; see the terms of SUN RGB-D"
    citation = "Song, Lichtenberg, Xiao: SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite. CVPR 2015"
    default_unit: ClassVar[DepthUnit] = "sun-rgbd-bits"

    def __init__(self, config: DatasetConfig) -> None:
        """``config.root`` is ``SUNRGBD`` or its parent; ``config.options`` are ``SunRgbdOptions``."""
        super().__init__(config)
        self.options = _options(config.options)
        self.root = _locate(require_folder(config.root, "--data-root"))
        if (self.root / SYNTHETIC_MARK).is_file():
            self.synthetic = True  # type: ignore[misc]  # of the class, but a twin is an exception

    def splits(self) -> dict[str, Split]:
        """``socket17``: TI is every other scene on the disk, of all sensors."""
        others = tuple(name for name in self.index().classes if name not in SOCKET17)
        return {"socket17": Split(SOCKET17, others, ti_domains="all")}

    def scan(self) -> Scan:
        """Walk for frames; incomplete ones are an error, or left out with ``skip_bad``."""
        frames, problems = find_frames(self.root, self.options.depth)
        if not frames and not problems:
            raise DataError(f"{self.root} holds no frame (a folder with image/, depth/ and scene.txt).")
        notices = self.settle(problems, len(frames) + len(problems))
        groups, told = self._groups(frames)
        parts: list[int] | None = None
        if self.options.parts == "allsplit":
            from sfda_kit.data.sun_rgbd_official import official_parts

            parts, groups, untold = official_parts(self.root, frames, groups, self.config.split_seed)
            told += untold
        rows = [Row(frame.path, frame.sensor, frame.scene, frame.files) for frame in frames]
        return Scan(rows, groups, parts, notices + told)

    def _groups(self, frames: list[Frame]) -> tuple[list[str], tuple[str, ...]]:
        fallback = "they are grouped by runs of one scene"
        names = [frame.path for frame in frames]
        told = told_groups(self.root, names, self.config.group_pattern, fallback)
        groups = [key or run for key, run in zip(told.keys, runs(frames), strict=True)]
        return groups, told.notices


def _options(options: dict[str, object]) -> SunRgbdOptions:
    try:
        return SunRgbdOptions.model_validate(options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UserError(
            f"dataset.options of sun-rgbd are not valid: {wrong}. Known: depth (depth_bfx or depth), parts "
            "(groups or allsplit)."
        ) from None


def _locate(root: Path) -> Path:
    """``SUNRGBD`` itself, given it or its parent."""
    for candidate in (root, root / "SUNRGBD"):
        if any((candidate / sensor).is_dir() for sensor in SENSORS):
            return candidate
    found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    raise DataError(
        f"--data-root {root} is not SUN RGB-D: expected folders {', '.join(SENSORS)} in it or in its "
        f"SUNRGBD/, found {found}. Unpack SUNRGBD.zip there."
    )
