"""Sets that do not lie in files the kit reads (a plugin's, or rendered ones): what their interface tells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.doctor.classes import check_split
from sfda_kit.data.doctor.counts import check_counts
from sfda_kit.data.doctor.findings import Finding, split_message
from sfda_kit.data.doctor.report import Report
from sfda_kit.data.folder_dataset import FolderDataset
from sfda_kit.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sfda_kit.interfaces.dataset import Dataset, Index

_CHUNK, _SIZE = 64, 64


def look_at_foreign(dataset: Dataset, report: Report, progress: Callable[[str, int, int], None]) -> None:
    """Index, splits and what the set itself calls bad; with ``report.deep`` every image is read.

    Nothing is read of a set that is rendered and has no folder: there is nothing on the disk to be wrong.
    """
    index = dataset.index()
    report.samples, report.domains, report.classes = len(index.names), index.domains, index.classes
    report.synthetic = dataset.synthetic
    report.add(Finding("loader", ".", notice) for notice in index.notices)
    report.add(_check_index(index))
    report.add(check_split(dataset, index))
    if dataset.synthetic and dataset.config.root is None:
        report.add([Finding("loader", ".", "is rendered when it is used, so only its index was checked")])
        return
    if isinstance(dataset, FolderDataset):
        report.add(check_counts(dataset.config.name, dataset.scanned.rows))
    bad = dataset.bad_rows(dataset.modalities)
    report.left_out = len(bad)
    report.add(Finding("unusable-file", index.names[row], *split_message(why)) for row, why in bad.items())
    if report.deep:
        good = np.array([row for row in range(len(index.names)) if row not in bad], dtype=np.int64)
        for modality in dataset.modalities:
            report.add(_read(dataset, index, good, modality, progress))


def _check_index(index: Index) -> Iterator[Finding]:
    columns: dict[str, NDArray[Any]] = {
        "domain": index.domain,
        "label": index.label,
        "group": index.group,
        "part": index.part,
    }
    for name, values in columns.items():
        if len(values) != len(index.names):
            what = f"its index has {len(index.names)} names and {len(values)} entries of {name}"
            yield Finding("layout", ".", what, "Tell the authors of the data set's plugin.")
    for number, name in enumerate(index.classes):
        if not (index.label == number).any():
            yield Finding("empty-class", name, "has no sample")
    if len(set(index.names)) < len(index.names):
        yield Finding("layout", ".", "its index names samples twice", "Tell the authors of the data set's plugin.")


def _read(
    dataset: Dataset, index: Index, rows: NDArray[np.int64], modality: str, progress: Callable[[str, int, int], None]
) -> Iterator[Finding]:
    """Every row in chunks; where a chunk fails, one by one."""
    first: dict[str, int] = {}
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        progress(f"reading {modality}", min(start + _CHUNK, len(rows)), len(rows))
        try:
            images = [(int(row), image) for row, image in zip(chunk, _pixels(dataset, chunk, modality), strict=True)]
        except DataError:
            images = []
            for row in chunk:
                try:
                    images.append((int(row), _pixels(dataset, np.array([row]), modality)[0]))
                except DataError as error:
                    yield Finding("unusable-file", index.names[int(row)], *split_message(str(error)))
        for row, image in images:
            yield from _judge(index, row, image, modality, first)


def _pixels(dataset: Dataset, rows: NDArray[np.int64], modality: str) -> NDArray[Any]:
    return np.asarray(dataset.peek(rows, modality, _SIZE))


def _judge(index: Index, row: int, image: NDArray[Any], modality: str, first: dict[str, int]) -> Iterator[Finding]:
    name = index.names[row]
    if image.min() == image.max():
        code = "unusable-file" if modality == "depth" and not image.any() else "constant"
        yield Finding(code, name, f"({modality}) has the value {image.max()} in every pixel")
        return
    other = first.setdefault(hashlib.sha256(np.ascontiguousarray(image).data).hexdigest(), row)
    if other != row and index.label[other] != index.label[row]:
        yield Finding("duplicate-across-classes", name, f"({modality}) shows the same as {index.names[other]}")
    elif other != row and index.group[other] != index.group[row]:
        yield Finding("duplicate", name, f"({modality}) shows the same as {index.names[other]}")
