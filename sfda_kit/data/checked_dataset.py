"""Index and pixels of a data set, which are checked as they come from it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.interfaces.dataset import PARTS, Index
from sfda_kit.interfaces.modality import Modality
from sfda_kit.plugins.boundary import call, component_of, refuse
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.modalities import modality
from sfda_kit.plugins.tensors import described

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset

_LOOKED_AT = 64
"""The images whose values are looked at; more would read a large data set twice."""
_FEW_MM = 100
"""Depth that stays below it was hardly measured in millimetres: no sensor sees so near."""


def checked_index(dataset: Dataset) -> Index:
    """Return ``dataset.index()``. Raises ``PartError`` where it does not agree with itself."""
    index = call(dataset, dataset.index)
    if not isinstance(index, Index):
        refuse(dataset, f"an index that is {described(index)}", "an Index")
    for what, names in (("names", index.names), ("classes", index.classes), ("domains", index.domains)):
        if len(set(names)) < len(names):
            twice, times = Counter(names).most_common(1)[0]
            refuse(dataset, f"an index whose {what} have {twice!r} {times} times", "each once")
    codes = {"label": (0, len(index.classes)), "domain": (0, len(index.domains)), "part": (-1, len(PARTS))}
    for what in ("label", "domain", "group", "part"):
        found = getattr(index, what)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.shape != (len(index.names),):
            refuse(dataset, f"an index whose {what} is {described(found)}", f"integers ({len(index.names)},)")
        least, end = codes.get(what, (None, None))
        if least is not None and end is not None and len(found) and (found.min() < least or found.max() >= end):
            refuse(dataset, f"an index whose {what} goes from {found.min()} to {found.max()}", f"{least} to {end - 1}")
    return index


def checked_pixels(dataset: Dataset, rows: NDArray[np.int64], kind: str, size: int) -> NDArray[np.generic]:
    """Return ``dataset.read(rows, kind, size)``. Raises ``PartError`` where the pixels are not of their modality."""
    pixels = np.asarray(call(dataset, dataset.read, rows, kind, size))
    check_pixels(dataset, pixels, modality(kind), (len(rows), size, size))
    owner = getattr(component_of(dataset), "owner", CORE)
    if owner != CORE:  # what our loaders return are the user's files, and `data verify` judges those
        _check_range(dataset, pixels, modality(kind))
    return pixels


def check_pixels(dataset: Dataset, pixels: NDArray[np.generic], kind: Modality, shape: tuple[int, int, int]) -> None:
    """Raise ``PartError`` unless ``pixels`` have a type of their modality and the shape (N, S, S)."""
    expected = (*shape, 3) if kind.channels == 3 else shape
    if pixels.dtype not in kind.dtypes or pixels.shape != expected:
        refuse(dataset, f"{kind.name} pixels {described(pixels)}", f"{' or '.join(map(str, kind.dtypes))} {expected}")


def _check_range(dataset: Dataset, pixels: NDArray[np.generic], kind: Modality) -> None:
    """Raise ``PartError`` for values that were hardly meant: fractions as whole numbers, depth not in millimetres."""
    if pixels.dtype.kind == "f":
        return
    most = int(pixels[:_LOOKED_AT].max(initial=0))
    least_of_most, unit = (_FEW_MM, "millimetres") if kind.zero_is_missing else (2, "values from 0 to 255")
    if 0 < most < least_of_most:
        refuse(dataset, f"{kind.name} pixels of at most {most} in its first images", unit)
