"""Verification of sets without files that the kit reads (a plugin's, or rendered ones), through their interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.folder_dataset import FolderDataset
from sfda_kit.verify.classes import check_split
from sfda_kit.verify.counts import check_counts
from sfda_kit.verify.duplicates import duplicates, near_duplicates
from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding, split_message
from sfda_kit.verify.leakage import ti_beside_tr
from sfda_kit.verify.report import Report
from sfda_kit.verify.rows import Progress, look_at_rows, row_name, row_places
from sfda_kit.verify.units import doubtful_units

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index


def look_at_foreign(dataset: Dataset, report: Report, progress: Progress) -> dict[str, FileFacts]:
    """Check index, splits and the set's ``bad_rows``; with ``report.deep`` also read and compare all images.

    Returns what is known of each image, for the manifest. Nothing is read of a set that is rendered and has no folder:
    there is nothing on the disk to be wrong.
    """
    index = dataset.index()
    report.samples, report.domains, report.classes = len(index.names), index.domains, index.classes
    report.synthetic = dataset.synthetic
    report.add(Finding("loader", ".", notice) for notice in index.notices)
    contradictions = list(_check_index(index))
    report.add(contradictions)
    report.add(check_split(dataset, index))
    if not contradictions:
        report.add(ti_beside_tr(dataset, index))
    if dataset.synthetic and dataset.config.root is None:
        report.add([Finding("loader", ".", "is rendered when it is used, so only its index was checked")])
        return {}
    if isinstance(dataset, FolderDataset):
        report.add(check_counts(dataset.config.name, dataset.scanned.rows))
    bad = dataset.bad_rows(dataset.modalities)
    report.left_out = len(bad)
    report.add(Finding("unusable-file", index.names[row], *split_message(why)) for row, why in bad.items())
    if not report.deep or any(one.code == "layout" for one in contradictions):
        return {}
    good = np.array([row for row in range(len(index.names)) if row not in bad], dtype=np.int64)
    facts = look_at_rows(dataset, good, progress)
    report.add(finding for one in facts.values() for finding in one.findings)
    places = row_places(dataset, index, good)
    report.add(duplicates(places, facts))
    report.add(near_duplicates(places, facts))
    report.add(doubtful_units(facts.values(), None))
    return facts | _unusable(dataset, index, bad)


def _unusable(dataset: Dataset, index: Index, bad: Mapping[int, str]) -> dict[str, FileFacts]:
    """Return facts of images that cannot be read: they are in no manifest, and they are not missing either."""
    facts = {}
    for row, why in bad.items():
        for modality in dataset.modalities:
            name = row_name(index.names[row], modality)
            facts[name] = FileFacts(name, findings=[Finding("unusable-file", name, why)])
    return facts


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
