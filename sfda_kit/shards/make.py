"""Making shards of a set that lies in files: the same bytes, with class, domain, role and group beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sfda_kit.data.decode_cache import FileReader, stored
from sfda_kit.data.images import IMAGE_SUFFIXES
from sfda_kit.datasets.folder_dataset import FolderDataset, SceneRow
from sfda_kit.datasets.split_folder import SplitFolder
from sfda_kit.datasets.twins.writing import Progress, mark
from sfda_kit.errors import DataError, UserError
from sfda_kit.files import write_whole
from sfda_kit.interfaces.dataset import PARTS, Dataset
from sfda_kit.shards.labels import Labels
from sfda_kit.shards.naming import key_of
from sfda_kit.shards.writer import DEFAULT_BYTES, ShardWriter

SPLITS = "splits.yaml"
_TAKEN = ("all", "roles")
"""The splits that every set of shards has."""


@dataclass(frozen=True)
class Made:
    """``sensors``: images of each modality and domain. ``splits``: names in ``splits.yaml``, the default first."""

    samples: int
    shards: int
    sensors: Counter[tuple[str, str]]
    splits: tuple[str, ...]


def make_shards(dataset: Dataset, out: Path, size: int = DEFAULT_BYTES, progress: Progress | None = None) -> Made:
    """Write all samples of ``dataset`` to ``out``, in shards of about ``size`` bytes.

    With ``skip_bad`` samples that do not decode are left out. Raises ``UserError`` where an image has no file of its
    own or ``out`` is not empty, ``DataError`` on files that cannot be read. ``out`` appears whole or not at all.
    """
    name = dataset.config.name
    if not isinstance(dataset, FolderDataset) or not isinstance(dataset.reader, FileReader):
        raise UserError(f"{name} has no file for each image, so there are none to put into shards. Use it as it is.")
    rows = dataset.scanned.rows
    left_out = set(dataset.bad_rows(dataset.modalities)) if dataset.config.skip_bad else set()
    chosen = [number for number in range(len(rows)) if number not in left_out]
    splits = _splits(dataset)
    shards = 0

    def write(work: Path) -> int:
        nonlocal shards
        with ShardWriter(work, size) as writer:
            _write_samples(dataset, chosen, writer, progress)
        shards = writer.shards
        if splits:
            text = yaml.safe_dump({"splits": splits}, sort_keys=False, allow_unicode=True)
            (work / SPLITS).write_text(text, encoding="utf-8")
        if dataset.synthetic:
            mark(work, f"{name}, in tar shards")
        return len(chosen)

    write_whole(out, write)
    sensors = Counter((modality, rows[number].domain) for number in chosen for modality in rows[number].files)
    return Made(len(chosen), shards, sensors, tuple(splits))


def _write_samples(
    dataset: FolderDataset, chosen: Collection[int], writer: ShardWriter, progress: Progress | None
) -> None:
    scan = dataset.scanned
    keys: set[str] = set()
    for done, number in enumerate(chosen, start=1):
        row = scan.rows[number]
        part = -1 if scan.parts is None else scan.parts[number]
        role = PARTS[part] if part >= 0 else ""
        labels = Labels(row.scene_class, row.domain, _told_group(scan.groups[number], row), role)
        images = {_ending(modality, path): _bytes(dataset, path) for modality, path in row.files.items()}
        writer.write(_key(row, keys), labels, images)
        if progress:
            progress(done, len(chosen))


def _told_group(group: str, row: SceneRow) -> str:
    """Return the group; "" where a sample is its own group by default, so that the user can group the shards later."""
    kind, _, name = group.partition(" ")
    return "" if kind in ("sample", "stem") and name and row.name.endswith(name) else group


def _key(row: SceneRow, taken: set[str]) -> str:
    """Return the name without domain and suffix, as ``groups.csv`` and patterns expect it, unique within its domain."""
    name = row.name.removeprefix(f"{row.domain}/")
    if name.lower().endswith(IMAGE_SUFFIXES):
        name = name.rpartition(".")[0]
    key, count = key_of(name), 1
    while f"{row.domain}/{key}" in taken:
        count += 1
        key = f"{key_of(name)}-{count}"
    taken.add(f"{row.domain}/{key}")
    return key


def _ending(modality: str, path: str) -> str:
    return f"{modality}{PurePosixPath(path).suffix.lower()}"


def _bytes(dataset: FolderDataset, path: str) -> bytes:
    file = stored(dataset.root / path, dataset.reader)
    try:
        with file.open("rb") as opened:
            return opened.read()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}). Put the file there, or mend its rights.") from None


def _splits(dataset: FolderDataset) -> Mapping[str, Any]:
    """Return the set's splits with their classes; none where they depend on classes that the user has to name."""
    try:
        found = dataset.splits()
    except UserError:
        return {}
    return {
        name: {
            "about": f"of {dataset.config.name}",
            "tr": list(split.tr_classes),
            "ti": list(split.ti_classes),
            "ti_domains": split.ti_domains,
            "merge": dict(dataset.merges(name)) if isinstance(dataset, SplitFolder) else {},
        }
        for name, split in found.items()
        if name not in _TAKEN
    }
