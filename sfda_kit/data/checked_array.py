"""Arrays in files with a checksum of each row, which is compared when the row is first read in a process.

Such a file holds two NPY arrays, the rows and their checksums (CRC-32 of the header and the row), so ``np.load`` reads
the first. Rows are images, so a damaged one is found before it is shown to a network.
"""

from __future__ import annotations

import io
import weakref
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sfda_kit.checksums import set_aside
from sfda_kit.data.shared_map import array_in, open_mapped
from sfda_kit.errors import DataError
from sfda_kit.events import say
from sfda_kit.files import sync

_remakes: dict[int, Callable[[], NDArray[Any]]] = {}
"""What makes an array again, by its ``id``. It knows names of files, which no view may lead to."""


class CheckedArray(np.ndarray[Any, np.dtype[Any]]):
    """A mapped array of which each row has a checksum. Parts of it and results of operations are plain arrays."""

    sums: NDArray[np.uint32] | None = None
    seen: NDArray[np.bool_]
    start: int

    def __getitem__(self, key: Any) -> Any:
        """Return a part as a plain array."""
        return self.view(np.ndarray)[key]

    def __array_wrap__(self, array: NDArray[Any], context: Any = None, return_scalar: bool = False) -> Any:
        """Return the result of an operation as a plain array or number."""
        del context, return_scalar
        return np.asarray(array)[()]

    def damaged(self, rows: NDArray[np.integer[Any]]) -> int | None:
        """Return the first of ``rows`` that differs from its checksum. Each row is checked once."""
        if self.sums is None:
            return None
        plain = self.view(np.ndarray)
        for row in rows[~self.seen[rows]].tolist():
            if zlib.crc32(plain[row], self.start) != self.sums[row]:
                return int(row)
            self.seen[row] = True
        return None


def checked(pixels: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> NDArray[Any]:
    """Return ``pixels``, or the same array made again where one of ``rows`` (by default all) is damaged.

    Arrays without checksums are returned as they are. Raises ``DataError`` where the new one is damaged too.
    """
    if not isinstance(pixels, CheckedArray) or pixels.sums is None:
        return pixels
    rows = np.arange(len(pixels)) if rows is None else rows
    if pixels.damaged(rows) is None:
        return pixels
    again = _remakes[id(pixels)]() if id(pixels) in _remakes else pixels
    if isinstance(again, CheckedArray) and again.damaged(rows) is not None:
        raise DataError("Cached images are damaged again just after they were made. Check the disk of the cache.")
    return again


def open_checked(path: Path, remake: Callable[[], NDArray[Any]] | None = None) -> CheckedArray | None:
    """Map the array in ``path`` as ``open_mapped`` does; None too where the checksums are missing.
    ``remake`` makes the array again when a row is found damaged."""
    array = open_mapped(path, _with_sums)
    if not isinstance(array, CheckedArray):
        return None
    if remake is not None:
        _remakes[id(array)] = remake
        weakref.finalize(array, _remakes.pop, id(array))
    return array


def array_is_damaged(path: Path) -> bool:
    """Return whether there is a file that is no array with checksums, or of which a row is damaged."""
    array = open_checked(path)
    return path.exists() if array is None else array.damaged(np.arange(len(array))) is not None


def set_damaged_aside(path: Path) -> None:
    """Set the file aside and say so where it is damaged. Nobody else may write it meanwhile."""
    if array_is_damaged(path):
        say(f"{path} is damaged: it is set aside as {set_aside(path).name}, and made again")


def write_rows(path: Path, rows: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write an array of ``shape`` row by row with plain writes, so that a full disk is an error, then the checksums.
    The file is on the disk when this returns, so it may be renamed."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    with path.open("w+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = _header_sum(file)
        sums = []
        for row in rows:
            data = np.ascontiguousarray(row).data
            file.write(data)
            sums.append(zlib.crc32(data, start))
        last = io.BytesIO()  # numpy's own writing hides why a disk takes no more
        np.lib.format.write_array(last, np.array(sums, np.uint32))
        file.write(last.getbuffer())
    sync(path)


def _with_sums(file: BinaryIO) -> NDArray[Any]:
    mapped = array_in(file)
    array = mapped.view(CheckedArray)
    array.start = _header_sum(file)
    file.seek(mapped.nbytes, 1)
    sums = np.lib.format.read_array(file, allow_pickle=False)
    if sums.shape != mapped.shape[:1] or sums.dtype != np.uint32 or not mapped.flags.c_contiguous:
        raise ValueError("the checksums do not belong to the array")
    array.sums, array.seen = sums, np.zeros(len(mapped), bool)
    return array


def _header_sum(file: BinaryIO) -> int:
    """Return the checksum of the file up to its position, which stays."""
    length = file.tell()
    file.seek(0)
    return zlib.crc32(file.read(length))
