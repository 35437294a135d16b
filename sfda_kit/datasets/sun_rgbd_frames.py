"""Finding the frames of SUN RGB-D: folders at any depth that hold image/, depth folders and scene.txt."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sfda_kit.data.images import is_image_name
from sfda_kit.data.walk import Folder, list_folder, walk
from sfda_kit.errors import DataError

SENSORS = ("kv1", "kv2", "realsense", "xtion")
_MARKS = ("image", "depth", "depth_bfx")
_VIDEO_FOLDER = "sun3ddata"


class SunRgbdFrame(NamedTuple):
    """``path`` and ``files`` are relative to the root; ``scene`` is the word of ``scene.txt``."""

    path: str
    scene: str
    files: dict[str, str]

    @property
    def sensor(self) -> str:
        """The first part of the path: kv1, kv2, realsense or xtion."""
        return self.path.partition("/")[0]

    @property
    def parent(self) -> str:
        """The folder in which the frame lies beside its neighbours; in ``sun3ddata`` it is a video."""
        return self.path.rpartition("/")[0]


def find_frames(root: Path, depth_folder: str) -> tuple[list[SunRgbdFrame], list[str]]:
    """Return all complete frames in natural order, and a sentence for each incomplete one."""
    frames: list[SunRgbdFrame] = []
    problems: list[str] = []
    for sensor in SENSORS:
        if not (root / sensor).is_dir():
            continue
        for folder, enter in walk(root / sensor):
            if not _is_frame(folder):
                continue
            enter.clear()
            try:
                frames.append(_frame(root, folder, depth_folder))
            except DataError as error:
                problems.append(str(error))
    return frames, problems


def runs(frames: list[SunRgbdFrame]) -> list[str]:
    """Return a group per frame: the video in ``sun3ddata``, else the run of neighbours with one scene name.

    Neighbouring frames mostly show the same room, which must not be on both sides of a split.
    """
    groups: list[str] = []
    count, before = 0, None
    for frame in frames:
        here = (frame.parent, frame.scene)
        count += here != before
        before = here
        groups.append(frame.parent if _VIDEO_FOLDER in frame.path.split("/") else f"{frame.parent}#{count}")
    return groups


def _is_frame(folder: Folder) -> bool:
    return "scene.txt" in folder.files or any(mark in folder.folders for mark in _MARKS)


def _frame(root: Path, folder: Folder, depth_folder: str) -> SunRgbdFrame:
    path = folder.path.relative_to(root).as_posix()
    files = {
        "rgb": f"{path}/image/{_only_file(folder.path / 'image')}",
        "depth": f"{path}/{depth_folder}/{_only_file(folder.path / depth_folder)}",
    }
    return SunRgbdFrame(path, _scene(folder.path / "scene.txt"), files)


def _only_file(folder: Path) -> str:
    """Return the only image in ``folder``: as names of image and depth differ, each half has a folder of its own."""
    if not folder.is_dir():
        raise DataError(f"{folder} is missing: half of the pair. Restore it or remove the frame.")
    images = [name for name in list_folder(folder).files if is_image_name(name)]
    if len(images) != 1:
        found = ", ".join(images[:3]) or "none"
        raise DataError(f"{folder} must hold exactly one image, found {len(images)} ({found}). Mend the frame.")
    return images[0]


def _scene(path: Path) -> str:
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{path} is missing or no text: the frame has no class. Restore it.") from None
    if len(words) != 1 or len(words[0]) > 64 or not words[0].isprintable():
        raise DataError(f"{path} must hold one word, the scene's name, found {len(words)}. Mend it.")
    return words[0]
