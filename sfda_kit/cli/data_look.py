"""Opening a data set to look at it: any modality, without a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.dataset import Dataset
    from sfda_kit.interfaces.modality import Modality

    Worse = Callable[[NDArray[Any], NDArray[np.int64], Modality], NDArray[Any]]

SIDE = 128
"""The side of the samples of a sheet in pixels, where nothing is stressed."""


def open_to_look(config: RunConfig, modalities: Sequence[str] | None, told: bool = False) -> Dataset:
    """Return the data set with all its sensors, or with ``modalities`` alone; ``told``: the user named the sensors.

    Incomplete samples are left out, and how many is printed. Raises ``UserError`` for a unit of no modality of the set.
    """
    from sfda_kit.cli.output import notices
    from sfda_kit.datasets.open_dataset import open_dataset
    from sfda_kit.plugins.modalities import check_unit
    from sfda_kit.verify.sensors import assumed_sensors

    changes: dict[str, object] = {"skip_bad": True}
    if not told:
        changes |= dict(zip(("source", "target"), assumed_sensors(config.dataset), strict=True))
        if config.dataset.name == "paired-folder" and modalities and len(modalities) <= 2:
            changes |= {"source": f"{modalities[0]}@", "target": f"{modalities[-1]}@"}
    opened = open_dataset(config.dataset.model_copy(update=changes))
    check_unit(config.dataset.unit, opened.modalities)
    opened.index()
    if problems := opened.problems:
        text = f"{len(problems)} incomplete samples left out, such as: {problems[0]} (sfda-kit data verify names all)"
        notices().print(f"notice: {text}", soft_wrap=True, markup=False)
    return opened


def stress_to_look_at(config: RunConfig, modalities: Sequence[str]) -> tuple[int, Worse | None]:
    """Return the side of the samples of a sheet, and what the stress of ``config`` makes of them, None without one.

    With a stress the side is that of a run, so that a run with this seed sees the same. Raises ``UserError`` for a
    stress that a modality cannot have.
    """
    from sfda_kit.cli.output import notices
    from sfda_kit.data.stressed_pixels import check_stress, shifted_images, worse_images
    from sfda_kit.data.views import stored_size

    stress, seed = config.dataset.stress, config.seed
    if stress is None:
        return SIDE, None
    for name in (one for one in modalities if one != "rgb" or len(modalities) == 1):
        check_stress(stress, name, config.model.image_size)
    if unseen := [key for key in stress.told if key not in ("pair_shift", "holes", "noise")]:
        text = f"{', '.join(unseen)} cannot be seen in single images: look at pictures/pairs.png of a run"
        notices().print(f"notice: {text}", soft_wrap=True, markup=False)

    def worse(pixels: NDArray[Any], rows: NDArray[np.int64], kind: Modality) -> NDArray[Any]:
        return worse_images(shifted_images(pixels, rows, stress.pair_shift, seed), rows, kind, stress, seed)

    return stored_size(config.model.image_size), worse
