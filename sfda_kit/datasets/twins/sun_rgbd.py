"""The twin of SUN RGB-D: four sensors, two trees of folders and the official lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.depth_units import encode_sun_rgbd_bits
from sfda_kit.datasets.twins.scenes import filled, shoot
from sfda_kit.datasets.twins.sun_rgbd_layout import FOREIGN_PREFIX, SCENE_NAMES, FramePaths, place_of
from sfda_kit.datasets.twins.writing import Progress, mark

RUN_LENGTH = 2
"""Neighbouring frames with one scene name, as when a camera stays in a room."""


class _Shot(NamedTuple):
    place: FramePaths
    sensor: str
    solid: str
    number: int
    official_test: bool


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/SUNRGBD`` and ``root/SUNRGBDtoolbox``; return the number of frames (18 classes, 4 sensors).

    Each frame folder holds image/, depth/ and depth_bfx/ (16-bit PNG, bits rotated), fullres/, scene.txt,
    intrinsics.txt and extrinsics/.
    """
    shots = list(_shots(per_class))
    for done, shot in enumerate(shots, start=1):
        _write_frame(root / "SUNRGBD" / shot.place.folder, shot, seed)
        progress(done, len(shots))
    _write_allsplit(root / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat", shots)
    mark(root / "SUNRGBD", "SUN RGB-D")
    return len(shots)


def _shots(frames_per_class: int) -> Iterator[_Shot]:
    """Yield all frames: every sensor sees every class, and every other run of a class is official test frames."""
    from sfda_kit.rooms.sensors import SENSORS

    for sensor in SENSORS:
        number, run = 0, 0
        for first in range(0, frames_per_class, RUN_LENGTH):
            for kind, solid in enumerate(SCENE_NAMES):
                run += 1
                # The folder shifts from run to run, so that no class stays in one folder of its sensor.
                folder = kind + first // RUN_LENGTH
                for _ in range(first, min(first + RUN_LENGTH, frames_per_class)):
                    number += 1
                    test = folder % 2 == 1
                    yield _Shot(place_of(sensor, folder, number, run), sensor, solid, number, test)


def _write_frame(folder: Path, shot: _Shot, seed: int) -> None:
    from PIL import Image

    from sfda_kit.rooms.sensors import SENSORS

    # The key holds the sensor's place in the list of sensors, so that a twin stays the same for a seed.
    seen = shoot(shot.solid, shot.sensor, [seed, list(SENSORS).index(shot.sensor), shot.number], ("rgb", "depth"))
    rgb, depth = seen["rgb"], seen["depth"]
    for name in ("image", "depth", "depth_bfx", "fullres", "extrinsics"):
        (folder / name).mkdir(parents=True)
    for name in ("image", "fullres"):
        Image.fromarray(rgb).save(folder / name / shot.place.image, quality=95)
    for name, millimetres in (("depth", depth), ("depth_bfx", filled(depth))):
        Image.fromarray(encode_sun_rgbd_bits(millimetres)).save(folder / name / shot.place.depth)
    (folder / "scene.txt").write_text(SCENE_NAMES[shot.solid], encoding="ascii")
    (folder / "intrinsics.txt").write_text(_intrinsics(shot.sensor, rgb.shape), encoding="ascii")
    rotation = "1.000000 0.000000 0.000000 0.000000\n0.000000 1.000000 0.000000 0.000000\n"
    rotation += "0.000000 0.000000 1.000000 0.000000\n"
    (folder / "extrinsics" / "20140808220511.txt").write_text(rotation, encoding="ascii")


def _intrinsics(sensor: str, shape: tuple[int, ...]) -> str:
    from sfda_kit.rooms.sensors import SENSORS

    height, width = shape[:2]
    focal = width / 2 / np.tan(np.radians(SENSORS[sensor].field_of_view) / 2)
    rows = ((focal, 0, width / 2), (0, focal, height / 2), (0, 0, 1))
    return " ".join(f"{value:.6f}" for row in rows for value in row)


def _write_allsplit(path: Path, shots: list[_Shot]) -> None:
    from scipy.io import savemat

    path.parent.mkdir(parents=True)
    lists = {"alltrain": False, "alltest": True}
    savemat(path, {name: _cells(shots, tested) for name, tested in lists.items()}, do_compression=True)


def _cells(shots: list[_Shot], tested: bool) -> NDArray[Any]:
    """Return a 1 x N MATLAB cell array of character rows."""
    paths = [FOREIGN_PREFIX + shot.place.folder for shot in shots if shot.official_test == tested]
    cells = np.empty((1, len(paths)), dtype=object)
    for column, path in enumerate(paths):
        cells[0, column] = path
    return cells
