"""Index and pixels of a data set, which are checked as they come from it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.decode_cache import ImageFiles
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


Fault = tuple[str, str]
"""What came, and what was expected."""


def checked_index(dataset: Dataset) -> Index:
    """Return ``dataset.index()``. Raises ``PartError`` where it does not agree with itself."""
    index = call(dataset, dataset.index)
    if fault := index_fault(index):
        refuse(dataset, *fault)
    return index


def index_fault(index: object) -> Fault | None:
    """Return where an index does not agree with itself, None where it does."""
    if not isinstance(index, Index):
        return f"an index that is {described(index)}", "an Index"
    for what, names in (("names", index.names), ("classes", index.classes), ("domains", index.domains)):
        if len(set(names)) < len(names):
            twice, times = Counter(names).most_common(1)[0]
            return f"an index whose {what} have {twice!r} {times} times", "each once"
    codes = {"label": (0, len(index.classes)), "domain": (0, len(index.domains)), "part": (-1, len(PARTS))}
    for what in ("label", "domain", "group", "part"):
        found = getattr(index, what)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.shape != (len(index.names),):
            return f"an index whose {what} is {described(found)}", f"integers ({len(index.names)},)"
        least, end = codes.get(what, (None, None))
        if least is not None and end is not None and len(found) and (found.min() < least or found.max() >= end):
            return f"an index whose {what} goes from {found.min()} to {found.max()}", f"{least} to {end - 1}"
    return None


def checked_files(dataset: Dataset, rows: NDArray[np.int64], kind: str) -> ImageFiles | None:
    """Return ``dataset.image_files(rows, kind)``; None where images have no files of their own.

    Raises ``PartError`` where it is something else than one file for each row.
    """
    found = None if dataset.in_one_file else call(dataset, dataset.image_files, rows, kind)
    if found is not None and (fault := files_fault(found, len(rows))):
        refuse(dataset, *fault)
    return found


def files_fault(found: object, count: int) -> Fault | None:
    """Return what is wrong with the image files of ``count`` rows, None where nothing is."""
    if not isinstance(found, ImageFiles):
        return f"image files that are {described(found)}", "ImageFiles or None"
    if len(found.files) != count:
        return f"{len(found.files)} image files for {count} rows", "one for each row, in their order"
    return None


def checked_pixels(dataset: Dataset, rows: NDArray[np.int64], kind: str, size: int) -> NDArray[np.generic]:
    """Return ``dataset.read(rows, kind, size)``. Raises ``PartError`` where the pixels are not of their modality."""
    pixels = np.asarray(call(dataset, dataset.read, rows, kind, size))
    check_pixels(dataset, pixels, modality(kind), (len(rows), size, size))
    owner = getattr(component_of(dataset), "owner", CORE)
    # what our loaders return are the user's files, and `data verify` judges those
    if owner != CORE and (fault := range_fault(pixels, modality(kind))):
        refuse(dataset, *fault)
    return pixels


def check_pixels(dataset: Dataset, pixels: NDArray[np.generic], kind: Modality, shape: tuple[int, int, int]) -> None:
    """Raise ``PartError`` unless ``pixels`` have a type of their modality and the shape (N, S, S)."""
    if fault := pixels_fault(pixels, kind, shape):
        refuse(dataset, *fault)


def pixels_fault(pixels: NDArray[np.generic], kind: Modality, shape: tuple[int, int, int]) -> Fault | None:
    """Return what is wrong with type or shape (N, S, S) of ``pixels``, None where nothing is."""
    expected = (*shape, 3) if kind.channels == 3 else shape
    if pixels.dtype not in kind.dtypes or pixels.shape != expected:
        return f"{kind.name} pixels {described(pixels)}", f"{' or '.join(map(str, kind.dtypes))} {expected}"
    return None


def range_fault(pixels: NDArray[np.generic], kind: Modality) -> Fault | None:
    """Return values that were hardly meant, None where there are none.

    They are fractions of full scale as whole numbers, and depth that is not in millimetres.
    """
    if pixels.dtype.kind == "f":
        return None
    most = int(pixels[:_LOOKED_AT].max(initial=0))
    least_of_most, unit = (_FEW_MM, "millimetres") if kind.zero_is_missing else (2, "values from 0 to 255")
    return (f"{kind.name} pixels of at most {most} in its first images", unit) if 0 < most < least_of_most else None
