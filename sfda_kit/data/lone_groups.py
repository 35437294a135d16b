"""Refusal of splits that leave a part without a class because its images lie in too few groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import PARTS, Dataset, Index

if TYPE_CHECKING:
    from sfda_kit.data.task import Sensor

SPLIT = ("source", "target-train", "target-test")


def refuse_lone_groups(
    dataset: Dataset,
    index: Index,
    classes: Sequence[str],
    part: NDArray[np.int8],
    sensors: tuple[Sensor, Sensor],
) -> None:
    """Raise ``DataError`` for a class that a part lacks although there are enough images, for want of groups.

    ``classes``: those that the user named; a class of a named split is left out with a notice instead. ``part``: that
    of each row. Parts that the data set itself declares are left as they are, and so are classes with fewer images than
    a part needs anyway, which are left out with a notice. Where ``minimum_images`` is 0 only the source needs images of
    a class.
    """
    split = SPLIT if dataset.config.minimum_images else SPLIT[:1]
    source, target = (index.domains.index(sensor.domain) for sensor in sensors)
    needed = {source: split[:1], target: split[1:]} if source != target else {source: split}
    for name in (one for one in classes if one in index.classes):
        for domain, parts in needed.items():
            rows = (index.label == index.classes.index(name)) & (index.domain == domain) & (index.part < 0)
            groups = np.unique(index.group[rows])
            lacking = [one for one in parts if not (part[rows] == PARTS.index(one)).any()]
            if lacking and len(groups) < len(SPLIT) and rows.sum() >= max(dataset.config.minimum_images, 1):
                first = [dataset.group_name(int(np.flatnonzero(rows & (index.group == one))[0])) for one in groups]
                raise DataError(_message(name, int(rows.sum()), first, lacking))


def _message(name: str, images: int, groups: Sequence[str], lacking: Sequence[str]) -> str:
    held = " and ".join(map(repr, groups))
    return (
        f"The split leaves {' and '.join(lacking)} without class {name!r}: its {images} images lie in the "
        f"{'group' if len(groups) == 1 else 'groups'} {held}, and a split never cuts a group. Film the class in more "
        f"places, give finer groups (groups.csv, --group-pattern), or leave the class out (--tr-classes)."
    )
