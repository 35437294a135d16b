"""Synthetic twins: ``rooms`` scenes written exactly as a public dataset lies on a disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.depth_units import encode_sun_rgbd_bits
from sfda_kit.data.twin_layout import FOREIGN_PREFIX, SCENE_NAMES, SYNTHETIC_MARK, Place, place_of
from sfda_kit.errors import UserError

RUN_LENGTH = 2
"""Neighbouring frames of one scene name, as where a camera stays in a room."""

Progress = Callable[[int, int], None]
"""Called with frames written and frames in all."""


_MARK_TEXT = "Rendered by sfda-kit in the layout of SUN RGB-D. No picture here is real.\n"


class _Shot(NamedTuple):
    place: Place
    sensor: str
    solid: str
    number: int
    official_test: bool


def make_sun_rgbd_twin(out: Path, frames_per_class: int = 40, seed: int = 0, progress: Progress | None = None) -> int:
    """Write ``out/SUNRGBD`` and ``out/SUNRGBDtoolbox``; returns the number of frames (18 classes, 4 sensors).

    Each frame folder holds image/, depth/ and depth_bfx/ (16-bit PNG, bits rotated), fullres/, scene.txt,
    intrinsics.txt and extrinsics/. ``out`` appears whole or not at all. Raises ``UserError`` when it is
    not empty or cannot be written.
    """
    if frames_per_class < 1:
        raise UserError(f"frames_per_class is {frames_per_class}; give at least 1.")
    out = out.expanduser().absolute()
    _refuse_taken(out)
    shots = list(_shots(frames_per_class))
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        for done, shot in enumerate(shots, start=1):
            _write_frame(work / "SUNRGBD" / shot.place.folder, shot, seed)
            if progress:
                progress(done, len(shots))
        _write_allsplit(work / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat", shots)
        (work / "SUNRGBD" / SYNTHETIC_MARK).write_text(_MARK_TEXT, encoding="utf-8")
        work.chmod(0o755)
        work.replace(out)
    except OSError as error:
        raise UserError(f"The twin cannot be written to {out} ({error.strerror}). Choose another folder.") from None
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return len(shots)


def _refuse_taken(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is not an empty folder. Nothing was written; name a new folder or empty this one.")


def _shots(frames_per_class: int) -> Iterator[_Shot]:
    """Every sensor sees every class; whole runs, every other one of a class, are official test frames."""
    from sfda_kit.data.rooms.sensors import SENSORS

    for sensor in SENSORS:
        number, run = 0, 0
        for first in range(0, frames_per_class, RUN_LENGTH):
            for kind, solid in enumerate(SCENE_NAMES):
                run += 1
                # Shifted each time round, so that no class keeps to one folder of its sensor.
                folder = kind + first // RUN_LENGTH
                for _ in range(first, min(first + RUN_LENGTH, frames_per_class)):
                    number += 1
                    test = folder % 2 == 1
                    yield _Shot(place_of(sensor, folder, number, run), sensor, solid, number, test)


def _write_frame(folder: Path, shot: _Shot, seed: int) -> None:
    from PIL import Image

    rgb, depth = _render(shot, seed)
    for name in ("image", "depth", "depth_bfx", "fullres", "extrinsics"):
        (folder / name).mkdir(parents=True)
    for name in ("image", "fullres"):
        Image.fromarray(rgb).save(folder / name / shot.place.image, quality=95)
    for name, millimetres in (("depth", depth), ("depth_bfx", _filled(depth))):
        Image.fromarray(encode_sun_rgbd_bits(millimetres)).save(folder / name / shot.place.depth)
    (folder / "scene.txt").write_text(SCENE_NAMES[shot.solid], encoding="ascii")
    (folder / "intrinsics.txt").write_text(_intrinsics(shot.sensor, rgb.shape), encoding="ascii")
    rotation = "1.000000 0.000000 0.000000 0.000000\n0.000000 1.000000 0.000000 0.000000\n"
    rotation += "0.000000 0.000000 1.000000 0.000000\n"
    (folder / "extrinsics" / "20140808220511.txt").write_text(rotation, encoding="ascii")


def _render(shot: _Shot, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    from sfda_kit.data.rooms.render import render
    from sfda_kit.data.rooms.scene import sample_scene
    from sfda_kit.data.rooms.sensors import SENSORS

    key = [seed, list(SENSORS).index(shot.sensor), shot.number]
    scene = sample_scene(np.random.default_rng([*key, 0]), shot.solid, clutter=1.0)
    sensor = SENSORS[shot.sensor]
    rgb = render(scene, sensor, "rgb", np.random.default_rng([*key, 1])).astype(np.uint8)
    depth = render(scene, sensor, "depth", np.random.default_rng([*key, 2])).astype(np.uint16)
    return rgb, depth


def _filled(depth: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Each hole takes the nearest measured value, as ``depth_bfx`` has none."""
    from scipy.ndimage import distance_transform_edt

    if not depth.any():
        return depth
    y, x = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    return np.asarray(depth[y, x])


def _intrinsics(sensor: str, shape: tuple[int, ...]) -> str:
    from sfda_kit.data.rooms.sensors import SENSORS

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
    """A 1 x N MATLAB cell array of character rows."""
    paths = [FOREIGN_PREFIX + shot.place.folder for shot in shots if shot.official_test == tested]
    cells = np.empty((1, len(paths)), dtype=object)
    for column, path in enumerate(paths):
        cells[0, column] = path
    return cells
