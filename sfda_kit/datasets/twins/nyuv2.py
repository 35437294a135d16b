"""The twin of NYU Depth V2's labelled file: it has the fields, types and axes of MATLAB 7.3, and smaller frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.nyuv2_mat import FILE
from sfda_kit.datasets.nyuv2_squares import CLASSES
from sfda_kit.datasets.paired_folder import NYU11_TI21
from sfda_kit.datasets.twins.scenes import SOLIDS, filled, shoot
from sfda_kit.datasets.twins.writing import Progress, mark
from sfda_kit.errors import UserError

if TYPE_CHECKING:
    import h5py

SCENE_TYPES = (
    *("bathroom", "bedroom", "bookstore", "classroom", "dining_room", "home_office", "kitchen", "living_room"),
    *("office", "basement", "cafe", "dinette", "furniture_store", "gym", "lobby", "playroom", "study", "study_room"),
)
NAMES = ("wall", *(name.replace("_", " ").replace("refrigerator", "refridgerator") for name in CLASSES))
"""The names of labels 1, 2, ..., spelt as in the official file, which has 894."""
ROOM = 2
"""Frames in one video."""
_OBJECTS = ((slice(24, 88), slice(36, 100)), (slice(60, 88), slice(0, 28)))
"""Rows and columns of a frame's two objects: in the middle, and at the edge. The squares around them do not overlap."""


def write(root: Path, per_class: int, seed: int, progress: Progress) -> int:
    """Fill ``root/nyu_depth_v2_labeled.mat``; return the number of frames (18 scene types)."""
    try:
        import h5py
    except ImportError:
        raise UserError("This twin needs the package h5py. Install it with: pip install 'sfda-kit[hdf5]'") from None

    total = len(SOLIDS) * per_class
    frames = [_frame(number, seed, progress, total) for number in range(total)]
    kinds = [number % len(SOLIDS) for number in range(total)]
    rooms = [number // len(SOLIDS) // ROOM + 1 for number in range(total)]
    with h5py.File(root / FILE, "w") as file:
        for name in frames[0]:
            _write_frames(file, name, [frame[name] for frame in frames])
        file.create_dataset("accelData", data=np.zeros((4, total), np.float32))
        write_texts(file, "names", NAMES)
        write_texts(file, "sceneTypes", [SCENE_TYPES[kind] for kind in kinds])
        write_texts(
            file, "scenes", [f"{SCENE_TYPES[kind]}_{room:04d}" for kind, room in zip(kinds, rooms, strict=True)]
        )
    mark(root, "NYU Depth V2")
    return total


def write_texts(file: h5py.File, name: str, words: Sequence[str]) -> None:
    """Write a MATLAB cell array: references to columns of character codes, which lie in ``#refs#``."""
    import h5py

    cells = np.empty((1, len(words)), dtype=h5py.ref_dtype)
    store = file.require_group("#refs#")
    for number, word in enumerate(words):
        codes = np.array([[ord(letter)] for letter in word], dtype=np.uint16)
        cells[0, number] = store.create_dataset(f"{name}{number}", data=codes).ref
    file.create_dataset(name, data=cells, dtype=h5py.ref_dtype)


def _frame(number: int, seed: int, progress: Progress, total: int) -> dict[str, NDArray[Any]]:
    """Return one frame with the axes of MATLAB: (H, W, 3) and (H, W)."""
    kind = number % len(SOLIDS)
    seen = shoot(SOLIDS[kind], "kv1", [seed, 31, number], ("rgb", "depth"))
    label, instance = np.ones(seen["depth"].shape, np.uint16), np.zeros(seen["depth"].shape, np.uint8)
    for name, (rows, columns) in zip(_objects(number), _OBJECTS, strict=True):
        label[rows, columns] = 2 + CLASSES.index(name)
        instance[rows, columns] = 1
    progress(number + 1, total)
    return {
        "images": seen["rgb"],
        "depths": (filled(seen["depth"]) / 1000).astype(np.float32),
        "rawDepths": (seen["depth"] / 1000).astype(np.float32),
        "labels": label,
        "instances": instance,
    }


def _objects(number: int) -> tuple[str, str]:
    """Return the classes in the middle (one relevant class per solid, or others in turn) and at the edge (others)."""
    relevant, others = NYU11_TI21.tr_classes, NYU11_TI21.ti_classes
    turn, kind = divmod(number, len(SOLIDS))
    rest = len(SOLIDS) - len(relevant)
    middle = relevant[kind] if kind < len(relevant) else others[(kind - len(relevant) + turn * rest) % len(others)]
    return middle, others[number % len(others)]


def _write_frames(file: h5py.File, name: str, frames: list[NDArray[Any]]) -> None:
    data = np.stack([frame.transpose() for frame in frames])
    file.create_dataset(name, data=data, chunks=(1, *data.shape[1:]), compression="gzip", compression_opts=1)
