"""The base of data sets kept as files: the index from rows, decoding, the cache, bad files, the fingerprint."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.decode_cache import FileReader, ImageFiles, PixelReader, listing, stored
from sfda_kit.datasets.packed_rows import PackedRows, PackedWords, SceneRow
from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import Dataset, Index

__all__ = ["SYNTHETIC_MARK", "FolderDataset", "Scan", "SceneRow"]
SYNTHETIC_MARK = "SYNTHETIC.txt"
"""This file lies at the root of a twin, so that nobody takes its results for those of real pictures."""


@dataclass(frozen=True)
class Scan:
    """What a loader found on the disk: rows, the group of each, and its official part where there is one."""

    rows: Sequence[SceneRow]
    groups: Sequence[str]
    parts: Sequence[int] | None = None
    notices: tuple[str, ...] = ()


class FolderDataset(Dataset):
    """A data set of image files. A subclass sets ``root`` and implements ``scan`` and ``splits``.

    Bad files raise one ``DataError`` that lists them. Where ``config.skip_bad`` is set, a subclass leaves incomplete
    samples out of its scan with a notice, and ``bad_rows`` finds those that do not decode.
    """

    default_unit: ClassVar[str] = "mm"
    root: Path
    reader: PixelReader = FileReader()
    merged_classes: Mapping[str, str] = MappingProxyType({})
    """Class on the disk -> class it counts as, where a split merges classes."""

    @abstractmethod
    def scan(self) -> Scan:
        """Find all samples below the root without decoding an image. This is called once."""

    @property
    def unit(self) -> str:  # type: ignore[override]  # it follows from the configuration here
        """What the files hold: the configured unit, else that of depth in this layout. Others have their default."""
        return self.config.unit or self.default_unit

    @property
    def scanned(self) -> Scan:
        """The result of ``scan``, with classes merged as the split says; the disk is searched once."""
        return self._scan

    @cached_property
    def _scan(self) -> Scan:
        scan, merged = self.scan(), self.merged_classes
        # They are kept as long as the run lasts, so they have to be small.
        rows = scan.rows if isinstance(scan.rows, PackedRows) else PackedRows(scan.rows)
        scan = replace(scan, rows=rows, groups=PackedWords(scan.groups))
        used = sorted(set(rows.classes.known) & set(merged))
        if not used:
            return scan
        renamed = [row._replace(scene_class=merged.get(row.scene_class, row.scene_class)) for row in rows]
        notices = tuple(f"class {name!r} counts as {merged[name]!r} in this split" for name in used)
        return replace(scan, rows=PackedRows(renamed), notices=(*scan.notices, *notices))

    @cached_property
    def _index(self) -> Index:
        return _tabulate(self._scan)

    def index(self) -> Index:
        """Return all samples, from file names and small text files alone."""
        return self._index

    def read(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[Any]:
        """Return pixels of ``rows`` (see ``Dataset``), read-only and mapped from the decode-once cache.

        The cache keeps one entry for each set of rows: ask for a whole view at once.
        """
        return self.image_files(rows, modality).load(size)

    def peek(self, rows: NDArray[np.int64], modality: str, size: int) -> NDArray[Any]:
        """Return the same as ``read``, without an entry in the cache."""
        return self.image_files(rows, modality).decode(size)

    def bad_rows(self, modalities: Sequence[str], rows: NDArray[np.int64] | None = None) -> dict[int, str]:
        """Return row -> reason for rows (default: all) that have an image of ``modalities`` which does not decode."""
        chosen = np.arange(len(self._scan.rows)) if rows is None else rows
        reasons: dict[int, str] = {}
        for modality in modalities:
            held = [int(row) for row in chosen if modality in self._scan.rows[row].files]
            for position, reason in self.image_files(np.asarray(held, dtype=np.int64), modality).bad().items():
                reasons.setdefault(held[position], reason)
        return reasons

    def fingerprint(self) -> str:
        """Return a digest of names, classes, groups, parts, unit, and path and size of each file.

        Contents and times are left out, so that it is quick and that copies on two computers agree.
        """
        scan, parts = self._scan, self._scan.parts
        digest = hashlib.sha256(f"{type(self).__name__} {self.unit} {self.reader!r}\n".encode())
        for number, row in enumerate(scan.rows):
            sizes = [(name, path, self._size(path)) for name, path in sorted(row.files.items())]
            part = -1 if parts is None else parts[number]
            line = (row.name, row.domain, row.scene_class, scan.groups[number], part, sizes)
            digest.update(repr(line).encode(errors="surrogateescape"))
        return digest.hexdigest()

    def _size(self, path: str) -> int:
        try:
            return stored(self.root / path, self.reader).stat().st_size
        except OSError:
            return -1

    def image_files(self, rows: NDArray[np.int64], modality: str) -> ImageFiles:
        """Return the files of ``rows``. Raises ``DataError`` where a row has no image of ``modality``."""
        chosen = [self._scan.rows[row] for row in rows]
        lacking = sorted({row.domain for row in chosen if modality not in row.files})
        if lacking:
            raise DataError(f"{self.root}: no {modality} images in domain {', '.join(lacking)}. Choose another.")
        return ImageFiles(self.root, [row.files[modality] for row in chosen], modality, self.unit, self.reader)

    def group_name(self, row: int) -> str:
        """Return the name that the group has on the disk."""
        return str(self._scan.groups[row])

    def mark_synthetic(self) -> None:
        """Set ``synthetic`` where the root is that of a twin. A subclass calls this once the root is known."""
        if (self.root / SYNTHETIC_MARK).is_file():
            self.synthetic = True  # type: ignore[misc]  # a class variable, set here for a twin only

    def holds(self, path: str) -> bool:
        """Return whether there is a file, or a part of a container, at ``path`` relative to the root."""
        return self._size(path) >= 0

    def finding_code(self, problem: str) -> str:
        """Return the code of the rule under which ``data verify`` reports one of ``problems``."""
        del problem
        return "incomplete-sample"

    def settle(self, problems: Sequence[str], total: int) -> tuple[str, ...]:
        """Return notices about incomplete samples of a scan with ``skip_bad``; else raise one ``DataError``."""
        if problems and not self.config.skip_bad:
            raise DataError(listing(problems, total))
        self.problems = tuple(problems)
        return tuple(f"left out: {problem}" for problem in problems)


def _tabulate(scan: Scan) -> Index:
    """Make the index column by column: making every row again would take most of the time of a large set."""
    rows = scan.rows if isinstance(scan.rows, PackedRows) else PackedRows(scan.rows)
    groups = scan.groups if isinstance(scan.groups, PackedWords) else PackedWords(scan.groups)
    domains, classes = (tuple(sorted(column.known)) for column in (rows.domains, rows.classes))
    return Index(
        names=rows.names,
        domain=_codes(rows.domains, domains).astype(np.int16),
        label=_codes(rows.classes, classes).astype(np.int16),
        group=groups.codes,
        part=np.asarray(scan.parts if scan.parts is not None else [-1] * len(rows), dtype=np.int8),
        domains=domains,
        classes=classes,
        notices=scan.notices,
    )


def _codes(words: PackedWords, known: Sequence[str]) -> NDArray[np.int64]:
    """Return the place in ``known`` of each of ``words``."""
    code = {word: number for number, word in enumerate(known)}
    return np.asarray([code[word] for word in words.known], dtype=np.int64)[words.codes]
