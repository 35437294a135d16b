"""Verification of a whole set: the folders, the loader's view of them, every file, and all files together."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.datasets.folder_dataset import FolderDataset, SceneRow
from sfda_kit.errors import DataError, UserError
from sfda_kit.verify.classes import check_split, empty_classes
from sfda_kit.verify.counts import check_counts
from sfda_kit.verify.duplicates import SamplePlace, duplicates, near_duplicates
from sfda_kit.verify.file_checks import FileCheck, FileFacts, Look
from sfda_kit.verify.findings import Finding, split_message
from sfda_kit.verify.groups_table import unused_lines
from sfda_kit.verify.leakage import classes_without_content, ti_beside_tr
from sfda_kit.verify.manifest import compare, default_path, read_manifest, write_manifest
from sfda_kit.verify.pairs import turned_pairs
from sfda_kit.verify.pool import look_at_all
from sfda_kit.verify.report import Report
from sfda_kit.verify.scanning import Scanned, scan_folder
from sfda_kit.verify.sensors import assumed_sensors
from sfda_kit.verify.tree import Tree, look_at_tree
from sfda_kit.verify.units import doubtful_units, small_parts

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.interfaces.dataset import Dataset

Progress = Callable[[str, int, int], None]
"""It is called with what is checked, how many are done and how many there are (0: not known yet)."""


@dataclass(frozen=True)
class Request:
    """What to verify. ``told``: the user named source and target, so other modalities may have gaps.

    ``deep``: decode, hash and compare every file; else check headers, names and pairs. Without ``manifest`` it is in
    the cache; without ``workers`` there is one per core.
    """

    config: DatasetConfig
    told: bool = False
    deep: bool = True
    skip_bad: bool = False
    fix_manifest: bool = False
    manifest: Path | None = None
    workers: int | None = None


def verify(request: Request, progress: Progress | None = None) -> Report:
    """Check everything and return the report; nothing is written below the data root.

    Raises ``UserError`` where the command is wrong: an unknown set or option, no such folder, an unusable manifest.
    """
    from sfda_kit.plugins.discovery import registry

    if request.fix_manifest and not request.deep:
        raise UserError("--fix-manifest needs the hashes of all files; leave --quick out.")
    start, tell = time.perf_counter(), progress or _silent
    kind = registry().get("dataset", request.config.name).load()
    report = Report(request.config.name, str(request.config.root or ""), request.deep, request.skip_bad)
    # Samples within one container file are read through the loader: they have no files of their own to check.
    if issubclass(kind, FolderDataset) and not kind.in_one_file:
        _look_at_folder(kind, request, report, tell)
    else:
        from sfda_kit.verify.foreign import look_at_foreign

        dataset = kind(request.config)
        try:
            if facts := look_at_foreign(dataset, report, tell):
                _keep_manifest(dataset, request.config.root, facts, lambda _: False, request, report)
        except DataError as error:
            report.add([Finding("layout", ".", *split_message(str(error)))])
    report.seconds = time.perf_counter() - start
    return report


def _look_at_folder(kind: type[FolderDataset], request: Request, report: Report, tell: Progress) -> None:
    config = _scanning(request)
    tell("listing", 0, 0)
    found = scan_folder(kind, config)
    root = found.dataset.root if found.dataset else _folder_of(config)
    tree = look_at_tree(root, lambda count: tell("listing", count, 0))
    report.root = str(root)
    report.add(tree.findings)
    report.add(found.findings)
    rows = found.scan.rows if found.scan else []
    facts = _look_at_files(_jobs(rows, tree, found), request, found, root, tell)
    wrong = {one.path for one in tree.findings if one.rule.severity == "error"}
    report.add(finding for one in facts.values() for finding in one.findings if finding.path not in wrong)
    report.files, report.bytes = len(facts), sum(max(one.size, 0) for one in facts.values())
    if found.dataset is not None and rows:
        _look_at_samples(found.dataset, found, tree, facts, request, report)
    report.add(_unused(tree, facts))


def _scanning(request: Request) -> DatasetConfig:
    """Return the configuration with which a loader reports what is wrong instead of raising an error."""
    config = request.config
    changes: dict[str, object] = {"skip_bad": True}
    if not request.told:
        with contextlib.suppress(DataError):  # the loader will say the same
            changes["source"], changes["target"] = assumed_sensors(config)
    return config.model_copy(update=changes)


def _folder_of(config: DatasetConfig) -> Path:
    """Return the data root. Raises ``UserError`` where there is no folder: then the command is wrong, not the data."""
    from sfda_kit.data.walk import require_folder

    given = config.root.expanduser().absolute() if config.root else None
    return require_folder(given.parent if given and given.is_file() else given, "--data-root")


def _jobs(rows: Sequence[SceneRow], tree: Tree, found: Scanned) -> list[FileCheck]:
    """Return each file once. If the loader knows the layout but cannot list samples, return all images of the tree."""
    if found.scan is None and found.dataset is not None:
        return [FileCheck(path) for path in tree.images]
    taken: dict[str, list[str]] = {}
    for row in rows:
        for modality, path in row.files.items():
            taken.setdefault(path, []).append(modality)
    return [FileCheck(path, tuple(modalities)) for path, modalities in taken.items()]


def _look_at_files(
    jobs: Sequence[FileCheck], request: Request, found: Scanned, root: Path, tell: Progress
) -> dict[str, FileFacts]:
    from sfda_kit.data.decode_cache import FileReader

    dataset = found.dataset if found.scan else None
    reader = dataset.reader if dataset else FileReader()
    look = Look(str(root), reader, dataset.unit if dataset else "", request.deep)
    workers = os.cpu_count() or 1 if request.workers is None else request.workers
    what = "decoding" if request.deep else "reading headers"
    return {one.path: one for one in look_at_all(jobs, look, workers, lambda done, all_: tell(what, done, all_))}


def _look_at_samples(
    dataset: FolderDataset,
    found: Scanned,
    tree: Tree,
    facts: dict[str, FileFacts],
    request: Request,
    report: Report,
) -> None:
    index, rows = dataset.index(), dataset.scanned.rows
    report.samples, report.domains, report.classes = len(rows), index.domains, index.classes
    report.synthetic = dataset.synthetic
    report.left_out = len(dataset.problems) + sum(
        any(not facts[path].usable for path in row.files.values()) for row in rows
    )
    report.add(unused_lines(found.group_lines, (row.name for row in rows)))
    report.add(empty_classes(rows, tree))
    report.add(check_split(dataset, index))
    report.add(ti_beside_tr(dataset, index))
    report.add(classes_without_content(dataset, index, rows, facts))
    report.add(check_counts(dataset.config.name, rows))
    report.add(turned_pairs(rows, facts))
    if request.deep:
        places = _places(dataset, rows)
        report.add(duplicates(places, facts))
        report.add(near_duplicates(places, facts))
        report.add(doubtful_units(facts.values(), dataset.unit))
        report.add(small_parts(facts.values(), dataset.unit))
    _keep_manifest(dataset, dataset.root, facts, dataset.holds, request, report)


def _places(dataset: FolderDataset, rows: Sequence[SceneRow]) -> list[SamplePlace]:
    from sfda_kit.data.group_split import split_groups
    from sfda_kit.interfaces.dataset import PARTS

    index = dataset.index()
    parts = split_groups(index, dataset.config.split_seed, dataset.config.shares)
    return [
        SamplePlace(row.name, PARTS[part], int(group), row.scene_class, row.files)
        for row, part, group in zip(rows, parts, index.group, strict=True)
    ]


def _keep_manifest(
    dataset: Dataset,
    root: Path | None,
    facts: Mapping[str, FileFacts],
    is_there: Callable[[str], bool],
    request: Request,
    report: Report,
) -> None:
    """Compare with the manifest. Write it where there is none yet, or where the user accepts the present files."""
    report.manifest = request.manifest or default_path(report.dataset, root)
    before = None if request.fix_manifest else read_manifest(report.manifest)
    labels = dataset.fingerprint()
    if before is not None:
        report.add(compare(before, is_there, facts.values(), labels))
    elif request.deep:
        write_manifest(report.manifest, report.dataset, root, facts.values(), labels)
        report.manifest_written = True


def _unused(tree: Tree, facts: dict[str, FileFacts]) -> list[Finding]:
    unused = [path for path in tree.images if path not in facts]
    if not unused:
        return []
    what = f"{len(unused)} of {len(tree.images)} images belong to no sample, such as this one"
    return [Finding("unused-images", min(unused), what)]


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
