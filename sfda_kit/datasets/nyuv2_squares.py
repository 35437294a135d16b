"""The parts of a labelled frame of NYU Depth V2 that become crops, and the square around each.

Crops are squares, since in boxes of an object's own shape, aspect and size alone tell the class of many crops. Pairs
that show relevant objects are left out, since a method could learn the target's task from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sfda_kit.datasets.paired_folder import NYU11

CLASSES = (
    *("cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter", "blinds"),
    *("desk", "shelves", "curtain", "dresser", "pillow", "mirror", "clothes", "books", "refrigerator", "television"),
    *("paper", "towel", "shower_curtain", "box", "whiteboard", "night_stand", "toilet", "sink", "lamp", "bathtub"),
    "bag",
)
"""Objects in the order of the usual 40 classes (Gupta et al., CVPR 2013), which have eight more: wall, floor, ceiling,
floor mat, person, other structure, other furniture and other props."""
RELEVANT = NYU11.tr_classes
LEAST_FILLED = 0.35
"""The least share of its bounding box that an object has to cover."""
SCALE = 1.1
"""Side of a square, divided by the longer side of the box."""
MOST_RELEVANT = 0.02
"""The largest share of the square around another object that relevant objects may cover."""


class Square(NamedTuple):
    """First row and column in the frame, side in pixels, and the class of the object in it."""

    top: int
    left: int
    side: int
    name: str

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the part of a picture (H, W, ...) that lies in the square, as a view."""
        return picture[self.top : self.top + self.side, self.left : self.left + self.side]


def squares(label: NDArray[np.integer[Any]], wanted: Mapping[int, str], min_side: int) -> list[Square]:
    """Return the squares of a frame: classes in the order of ``CLASSES``, objects of a class from top to bottom.

    ``label``: (H, W); ``wanted``: label -> name in ``CLASSES``; ``min_side``: least height and width of an object. An
    object is a connected part of its class after one binary opening; the file's instances are not used.
    """
    numbers = _numbers(label, wanted)
    relevant = np.isin(numbers, [CLASSES.index(name) for name in RELEVANT])
    found = [
        _around(box, CLASSES[number], label.shape)
        for number in np.unique(numbers[numbers >= 0])
        for box in _boxes(numbers == number, min_side)
    ]
    return [one for one in found if one.name in RELEVANT or one.of(relevant).mean() <= MOST_RELEVANT]


def _numbers(label: NDArray[np.integer[Any]], wanted: Mapping[int, str]) -> NDArray[np.int64]:
    """Return the place in ``CLASSES`` of each pixel's class, -1 where it has none."""
    values, places = np.unique(label, return_inverse=True)
    numbers = [CLASSES.index(wanted[value]) if value in wanted else -1 for value in values.tolist()]
    return np.asarray(numbers, np.int64)[places].reshape(label.shape)


def _boxes(mask: NDArray[np.bool_], min_side: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of each object, in the order of their first pixels."""
    parts, _ = ndimage.label(ndimage.binary_opening(mask))
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        covered = parts[box] == part
        if min(covered.shape) >= min_side and covered.mean() >= LEAST_FILLED:
            yield box


def _around(box: tuple[slice, slice], name: str, frame: tuple[int, ...]) -> Square:
    """Return the square with the centre of ``box``, as large as the frame allows and shifted into it."""
    longer = max(place.stop - place.start for place in box)
    side = min(round(SCALE * longer), *frame)
    top, left = (
        min(max((place.start + place.stop - side) // 2, 0), length - side)
        for place, length in zip(box, frame, strict=True)
    )
    return Square(top, left, side, name)
