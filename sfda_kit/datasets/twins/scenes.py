"""The pictures of the twins: scenes of ``rooms`` with one solid each, seen by one of its sensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOLIDS = (
    "arch",
    "chair",
    "cone",
    "cube",
    "cylinder",
    "dumbbell",
    "mug",
    "pyramid",
    "sphere",
    "stairs",
    "table",
    "torus",
    "dome",
    "shelf",
    "snowman",
    "stool",
    "tube",
    "wedge",
)
"""The first twelve are the relevant classes of ``rooms``."""


def shoot(solid: str, sensor: str, key: Sequence[int], modalities: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return a scene in each of ``modalities``: rgb uint8 (96, 128, 3), depth uint16 mm or nir uint8 (96, 128).

    The same ``key`` gives the same scene; each picture has noise of its own.
    """
    from sfda_kit.rooms.render import render
    from sfda_kit.rooms.scene import sample_scene
    from sfda_kit.rooms.sensors import SENSORS

    scene = sample_scene(np.random.default_rng([*key, 0]), solid, clutter=1.0)
    noise = {"rgb": 1, "depth": 2, "nir": 3}
    return {
        name: render(scene, SENSORS[sensor], name, np.random.default_rng([*key, noise[name]])) for name in modalities
    }


def filled(depth: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Fill each hole with the nearest measured value, since refined depth has no holes."""
    from scipy.ndimage import distance_transform_edt

    if not depth.any():
        return depth
    y, x = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    return np.asarray(depth[y, x])
