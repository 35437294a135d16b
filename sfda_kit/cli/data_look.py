"""Opening a data set to look at it: any modality, without a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.interfaces.dataset import Dataset


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
