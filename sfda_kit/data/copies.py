"""Detection of held-out images that another part of a task also contains, and so are not unseen."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.checked_dataset import checked_files
from sfda_kit.data.decode_cache import LISTED, stored
from sfda_kit.data.stored import sha256_of
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from sfda_kit.data.decode_cache import ImageFiles
    from sfda_kit.data.stored import Stored
    from sfda_kit.data.task import Task
    from sfda_kit.interfaces.dataset import Dataset

Rows = NDArray[np.int64]

_HELD_OUT = "target-test"
_BLOCK = 1 << 12
"""Number of bytes from the middle of a file. They nearly always differ between files of the same size."""


def refuse_copies(task: Task) -> None:
    """Raise ``DataError`` where a held-out image has the same bytes as an image of another part."""
    found = copies_of(task.dataset, task.rows, task.source.modality, task.target.modality)
    if not found:
        return
    lines = [f"  - {what}" for what in list(found.values())[:LISTED]]
    more = [f"  ... and {len(found) - LISTED} more"] if len(found) > LISTED else []
    raise DataError(
        "\n".join([f"{len(found)} of {len(task.rows[_HELD_OUT])} held-out images are not unseen:", *lines, *more])
        + "\nRemove the copies, put them into one group (groups.csv, --group-pattern), or leave them out of the "
        "held-out part with --skip-bad."
    )


def without_copies(
    dataset: Dataset, rows: Mapping[str, Rows], source: str, target: str
) -> tuple[dict[str, Rows], list[str]]:
    """Return ``rows`` by part without held-out copies, and a notice for each. Raises ``DataError`` if none are left."""
    found = copies_of(dataset, rows, source, target)
    kept = rows[_HELD_OUT][~np.isin(rows[_HELD_OUT], list(found))]
    if found and not len(kept):
        raise DataError("Every held-out image is in another part too, such as: " + next(iter(found.values())) + ".")
    return {**rows, _HELD_OUT: kept}, [f"left out (--skip-bad): {what}" for what in found.values()]


def copies_of(dataset: Dataset, rows: Mapping[str, Rows], source: str, target: str) -> dict[int, str]:
    """Return a sentence for each held-out row whose file holds the same bytes as an image file of another part.

    This compares images of the modality ``target``, and those of the source part if ``source`` is the same modality.
    It finds nothing where images have no files of their own (see ``Dataset.image_files``).
    """
    if not len(rows[_HELD_OUT]):
        return {}
    held_files = checked_files(dataset, rows[_HELD_OUT], target)
    if held_files is None:
        return {}
    others = [part for part in ("target-train", "ti", "source") if part != "source" or source == target]
    held = _Named(held_files)
    there = {part: _Named(files) for part in others if (files := checked_files(dataset, rows[part], target))}
    alike = {size for named in there.values() for size in named.sizes} & set(held.sizes)
    seen: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for part, named in there.items():
        for name, key in named.keys(alike):
            seen[key].append((name, part))
    place = dict(zip(held.files.files, rows[_HELD_OUT].tolist(), strict=True))
    found = {}
    suspects: dict[tuple[int, str], dict[str, tuple[str, str]]] = {}
    for name, key in held.keys(alike):
        if key not in seen:
            continue
        if key not in suspects:
            suspects[key] = {held.whole(other): (other, part) for other, part in reversed(seen[key])}
        if match := suspects[key].get(held.whole(name)):
            found[place[name]] = f"{held.files.root / name} is held out and the same as {match[0]} ({match[1]})"
    return found


class _Named:
    """Files with their sizes. Comparing sizes and a few bytes first saves reading most files whole."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        self.sizes = [self._size(name) for name in files.files]

    def keys(self, sizes: Collection[int]) -> Iterator[tuple[str, tuple[int, str]]]:
        """Yield the name, and the size with a hash of bytes from the middle, of each file with one of ``sizes``."""
        for name, size in zip(self.files.files, self.sizes, strict=True):
            if size in sizes and size >= 0:
                with self._stored(name).open("rb") as file:
                    file.seek(max(0, (size - _BLOCK) // 2))
                    yield name, (size, hashlib.sha256(file.read(_BLOCK)).hexdigest())

    def whole(self, name: str) -> str:
        """Return the hash of all bytes of ``name``, which may be any file below the root."""
        return sha256_of(self._stored(name))

    def _stored(self, name: str) -> Stored:
        return stored(self.files.root / name, self.files.reader)

    def _size(self, name: str) -> int:
        try:
            return self._stored(name).stat().st_size
        except OSError:  # reading the file later gives the better message
            return -1
