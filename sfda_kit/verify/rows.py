"""Images read from a data set row by row. The other checks treat each like a file, under a name of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.checked_dataset import check_pixels
from sfda_kit.errors import DataError, PartError
from sfda_kit.plugins.boundary import call
from sfda_kit.plugins.modalities import modality as modality_of
from sfda_kit.verify.duplicates import SamplePlace
from sfda_kit.verify.file_checks import FileFacts, check_values, facts_of
from sfda_kit.verify.findings import split_message

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index

_CHUNK, _SIZE = 64, 64
"""Rows read at a time, and the side of the squares: enough to tell images apart, and quick."""

Progress = Callable[[str, int, int], None]


def look_at_rows(dataset: Dataset, rows: NDArray[np.int64], progress: Progress) -> dict[str, FileFacts]:
    """Return facts of each image of ``rows`` by ``row_name``; size and hash are those of its pixels at 64 x 64."""
    names = dataset.index().names
    facts: dict[str, FileFacts] = {}
    for modality in dataset.modalities:
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            progress(f"reading {modality}", start + len(chunk), len(rows))
            for row, image in _read(dataset, chunk, modality):
                one = _looked_at(row_name(names[row], modality), modality, image)
                facts[one.path] = one
    return facts


def row_name(name: str, modality: str) -> str:
    """Return the name of one image of a sample, for findings and the manifest."""
    return f"{name} ({modality})"


def row_places(dataset: Dataset, index: Index, rows: NDArray[np.int64]) -> list[SamplePlace]:
    """Return part, group, class and images of each of ``rows``."""
    from sfda_kit.data.group_split import split_groups
    from sfda_kit.interfaces.dataset import PARTS

    parts = split_groups(index, dataset.config.split_seed, dataset.config.shares)
    return [
        SamplePlace(
            index.names[row],
            PARTS[parts[row]],
            int(index.group[row]),
            index.classes[index.label[row]],
            {modality: row_name(index.names[row], modality) for modality in dataset.modalities},
        )
        for row in map(int, rows)
    ]


def _read(dataset: Dataset, rows: NDArray[np.int64], modality: str) -> Iterator[tuple[int, NDArray[Any] | DataError]]:
    """Yield each row with its pixels, or with its error: all are read at once, and one by one where that fails."""
    try:
        yield from zip(map(int, rows), _pixels(dataset, rows, modality), strict=True)
        return
    except DataError:
        pass
    for row in rows:
        try:
            yield int(row), _pixels(dataset, np.array([row]), modality)[0]
        except DataError as error:
            yield int(row), error


def _pixels(dataset: Dataset, rows: NDArray[np.int64], modality: str) -> NDArray[Any]:
    try:
        pixels = np.asarray(call(dataset, dataset.peek, rows, modality, _SIZE))
        check_pixels(dataset, pixels, modality_of(modality), (len(rows), _SIZE, _SIZE))
    except PartError as error:
        raise DataError(str(error)) from None
    return pixels


def _looked_at(name: str, modality: str, image: NDArray[Any] | DataError) -> FileFacts:
    facts = FileFacts(name)
    if isinstance(image, DataError):
        facts.add("unusable-file", *split_message(str(image)))
    elif modality == "depth" and not image.any():
        facts.add("unusable-file", "is missing (zero) in every pixel")
    else:
        facts.size, facts.sha256 = image.nbytes, hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
        facts.pixels[modality] = facts_of(image, modality)
        check_values(modality, facts)
    return facts
