"""The conformance suite for data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.checked_dataset import files_fault, index_fault, pixels_fault, range_fault
from sfda_kit.data.decode_cache import ImageFiles, stored
from sfda_kit.errors import DataError, UserError
from sfda_kit.interfaces.dataset import Dataset, Index, Split
from sfda_kit.interfaces.modality import Modality
from sfda_kit.plugins.building import build
from sfda_kit.plugins.modalities import modality, modality_names
from sfda_kit.testing.declaration import DeclarationConformance

SIDE = 16
MOST = 12
"""The rows of a domain that are read, so that a large set can be checked too."""


class DatasetConformance(DeclarationConformance):
    """A test class sets ``name`` and overrides ``make``, or sets ``root`` to a folder with a small data set.

    ``options``: those of the data set (``dataset.options``); ``settings``: other keys of ``DatasetConfig``, such as
    ``source``, ``target`` and ``tr_classes``. With ``make`` the suite also damages files, which it never does in
    ``root``.
    """

    kind: ClassVar[str] = "dataset"
    root: ClassVar[Path | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}

    def make(self, folder: Path) -> Path | None:
        """Write a small data set below ``folder`` and return its root; by default ``root``, and None for no files."""
        del folder
        return self.root

    def opened(self, folder: Path, **changes: Any) -> Dataset:
        """Return the data set, made anew below ``folder`` unless ``changes`` give its ``root``."""
        root = changes.pop("root", None) or self.make(folder)
        given = {"name": self.name, "root": root, "options": dict(self.options), **self.settings, **changes}
        found: Dataset = build(self.component(), config=DatasetConfig.model_validate(given))
        return found

    def test_says_what_it_holds(self, sfda_folder: Path) -> None:
        """It has a summary, and modalities that are installed."""
        dataset = self.opened(sfda_folder)
        assert isinstance(dataset.summary, str) and dataset.summary, (
            f"summary is {dataset.summary!r}, not a line of text"
        )
        assert dataset.modalities, "modalities is empty; name at least one, such as ('rgb', 'depth')"
        unknown = sorted(set(dataset.modalities) - set(modality_names()))
        assert not unknown, f"modalities {unknown} are not installed; installed are {', '.join(modality_names())}"

    def test_index_agrees_with_itself(self, sfda_folder: Path) -> None:
        """Names are unique, codes are in range, and every column has one integer for each name."""
        fault = index_fault(index := self.opened(sfda_folder).index())
        assert fault is None, _sentence("index()", fault)
        assert index.names, "the index has no sample; a data set without any is a DataError"

    def test_index_is_the_same_each_time(self, sfda_folder: Path) -> None:
        """Opened again, the data set has the same samples in the same order."""
        first = self.opened(sfda_folder)
        again = self.opened(sfda_folder, root=first.config.root)
        for what in ("names", "domain", "label", "group", "part", "domains", "classes"):
            one, other = (list(getattr(dataset.index(), what)) for dataset in (first, again))
            assert one == other, f"{what} of the index differs when the data set is opened again; sort what you list"

    def test_index_reads_no_pixels(self, sfda_folder: Path) -> None:
        """``index`` decodes no image, so that a large set opens at once."""
        dataset = self.opened(sfda_folder)
        with (
            patch.object(ImageFile.ImageFile, "load", autospec=True) as decoded,
            patch.object(dataset, "read") as read,
            patch.object(dataset, "peek") as peek,
        ):
            dataset.index()
        assert not (decoded.called or read.called or peek.called), "index() reads pixels; leave that to read()"

    def test_notices_are_sentences(self, sfda_folder: Path) -> None:
        """Notices of the index, and ``problems``, are tuples of lines of text."""
        dataset = self.opened(sfda_folder)
        for what, told in (("the notices of the index", dataset.index().notices), ("problems", dataset.problems)):
            assert isinstance(told, tuple), f"{what} are a {type(told).__name__}; expected a tuple of sentences"
            wrong = [one for one in told if not (isinstance(one, str) and one.strip() and "\n" not in one)]
            assert not wrong, f"{what} hold {wrong[0]!r}; expected a line of text"

    def test_groups_have_names(self, sfda_folder: Path) -> None:
        """The rows of a group have one name of their group, and two groups have two names."""
        dataset = self.opened(sfda_folder)
        index = dataset.index()
        rows = range(0, len(index.names), 1 + len(index.names) // (5 * MOST))
        found = {(int(index.group[row]), dataset.group_name(row)) for row in rows}
        groups, names = {group for group, _ in found}, {name for _, name in found}
        one_each = len(found) == len(groups) == len(names)
        assert one_each, (
            f"group_name() has {len(names)} names for {len(groups)} groups; expected one name for each group"
        )

    def test_splits_name_classes_of_the_index(self, sfda_folder: Path) -> None:
        """A split has two TR classes or more, and none of them is TI too; those of the default split exist."""
        dataset = self.opened(sfda_folder)
        splits, classes = dataset.splits(), dataset.index().classes
        assert splits, "splits() is empty; expected at least one Split by name"
        for name, split in splits.items():
            assert isinstance(split, Split), f"the split {name!r} is a {type(split).__name__}; expected a Split"
            assert len(split.tr_classes) >= 2, (
                f"the split {name!r} has TR classes {split.tr_classes}; expected two or more"
            )
            both = sorted(set(split.tr_classes) & set(split.ti_classes))
            assert not both, f"the split {name!r} has {both} as TR and as TI; a class has one role"
        default = next(iter(splits.values()))
        told = f"the default split has TR classes {default.tr_classes} and the index {classes}"
        assert len(set(default.tr_classes) & set(classes)) >= 2, f"{told}; expected two or more in both"

    def test_reads_pixels_of_each_modality(self, sfda_folder: Path) -> None:
        """Pixels have shape, type and values of their modality, in each domain that has it."""
        dataset = self.opened(sfda_folder)
        read = set()
        for kind, rows, pixels in _each_read(dataset):
            read.add(kind.name)
            shape = (len(rows), SIDE, SIDE)
            fault = pixels_fault(pixels, kind, shape) or range_fault(pixels, kind) or _median_fault(pixels, kind)
            assert fault is None, _sentence("read()", fault)
        takes_any = set(dataset.modalities) == set(modality_names())
        missing = sorted(set(dataset.modalities) - read)
        assert read and (takes_any or not missing), f"read() raises DataError for {missing} in every domain"

    def test_rows_read_alone_are_the_same(self, sfda_folder: Path) -> None:
        """Rows have the same pixels alone, in another order, and among others."""
        dataset = self.opened(sfda_folder)
        for kind, rows, pixels in _each_read(dataset):
            for order in (np.arange(len(rows))[::-1], np.array([len(rows) - 1]), np.arange(0, len(rows), 2)):
                some = dataset.read(rows[order], kind.name, SIDE)
                same = some.shape == pixels[order].shape and np.array_equal(some, pixels[order])
                assert same, (
                    f"read() gives other {kind.name} pixels for rows {rows[order].tolist()} when asked for them alone"
                )

    def test_peek_shows_the_same_pixels(self, sfda_folder: Path) -> None:
        """``peek`` returns what ``read`` does."""
        dataset = self.opened(sfda_folder)
        for kind, rows, pixels in _each_read(dataset):
            same = np.array_equal(dataset.peek(rows[:3], kind.name, SIDE), pixels[:3])
            assert same, f"peek() returns other {kind.name} pixels than read()"

    def test_fingerprint_is_stable(self, sfda_folder: Path) -> None:
        """The fingerprint is a hex digest, the same when the data set is opened again."""
        first = self.opened(sfda_folder)
        again = self.opened(sfda_folder, root=first.config.root)
        found = first.fingerprint()
        is_hex = isinstance(found, str) and len(found) >= 16 and set(found) <= set("0123456789abcdef")
        assert is_hex, f"fingerprint() is {found!r}; expected 16 hex digits or more"
        assert found == again.fingerprint(), "fingerprint() differs when the data set is opened again"

    def test_fingerprint_changes_with_the_files(self, sfda_folder: Path) -> None:
        """Another size of an image file is another fingerprint."""
        dataset = self.opened(sfda_folder)
        for kind, files in _image_files(dataset, sfda_folder):
            before, file = dataset.fingerprint(), files.root / files.files[0]
            file.write_bytes(file.read_bytes() + bytes(8))
            changed = self.opened(sfda_folder, root=dataset.config.root).fingerprint() != before
            assert changed, f"fingerprint() stays when the {kind.name} file {files.files[0]} has another size"

    def test_image_files_are_those_of_the_rows(self, sfda_folder: Path) -> None:
        """``image_files`` gives one file for each row, which exists, in the order of the rows."""
        dataset = self.opened(sfda_folder)
        rows = _rows_of(dataset.index(), 0)
        for _, files in _image_files(dataset):
            fault = files_fault(files, len(rows))
            assert fault is None, _sentence("image_files()", fault)
            backwards = dataset.image_files(rows[::-1], files.modality)
            in_order = backwards is not None and list(backwards.files) == list(files.files)[::-1]
            assert in_order, "image_files() does not follow the order of the rows"
            lacking = [name for name in files.files if not _is_there(files, name)]
            assert not lacking, f"image_files() names {lacking[0]}, and there is no such file below {files.root}"

    def test_a_bad_file_is_a_data_error(self, sfda_folder: Path) -> None:
        """A damaged image raises ``DataError``, and ``bad_rows`` gives its row where the set has it."""
        dataset = self.opened(sfda_folder)
        for kind, files in _image_files(dataset, sfda_folder):
            (files.root / files.files[0]).write_bytes(b"damaged")
            row = int(_rows_of(dataset.index(), 0)[0])
            try:
                dataset.read(np.array([row]), kind.name, SIDE)
            except DataError:
                pass
            else:
                raise AssertionError(
                    f"read() returns pixels of {files.files[0]}, which is damaged; expected a DataError"
                )
            bad = dataset.bad_rows((kind.name,))
            if type(dataset).bad_rows is not Dataset.bad_rows:
                assert row in bad, f"bad_rows() does not name row {row}, whose file {files.files[0]} is damaged"
            return

    def test_a_root_that_is_not_there_is_a_data_error(self, sfda_folder: Path) -> None:
        """A wrong ``--data-root`` is a ``DataError`` when the set is opened, or when its index is read."""
        if self.make(sfda_folder / "made") is None:
            return
        try:
            self.opened(sfda_folder, root=sfda_folder / "no-such-folder").index()
        except UserError as error:
            assert "no-such-folder" in str(error), f"the error does not name the root: {error}"
        else:
            raise AssertionError("a root that does not exist was accepted; expected a DataError that names it")

    def test_unknown_option_is_a_user_error(self, sfda_folder: Path) -> None:
        """A misspelt key of ``dataset.options`` is refused and not ignored."""
        try:
            self.opened(sfda_folder, options={**self.options, "no_such_option": 1}).index()
        except UserError as error:
            assert "no_such_option" in str(error), f"the error does not name the option: {error}"
        else:
            raise AssertionError("the unknown option 'no_such_option' was accepted; expected a UserError that names it")

    def test_tells_its_progress(self, sfda_folder: Path) -> None:
        """Where ``read`` tells its progress, it says what is done, how many are done, and of how many."""
        dataset, told = self.opened(sfda_folder), list[Any]()
        dataset.progress = lambda *arguments: told.append(arguments)
        next(_each_read(dataset))
        for one in told:
            fits = len(one) == 3 and isinstance(one[0], str) and 0 <= one[1] <= one[2]
            assert fits, f"progress was called with {one}; expected (what, done, total) with 0 <= done <= total"


def _image_files(dataset: Dataset, within: Path | None = None) -> Iterator[tuple[Modality, ImageFiles]]:
    """Yield modality and image files of the first domain, where images have files of their own that lie ``within``."""
    rows = _rows_of(dataset.index(), 0)
    for name in dataset.modalities:
        try:
            files = None if dataset.in_one_file else dataset.image_files(rows, name)
        except DataError:  # no sensor of this domain sees it
            continue
        if files is not None and (within is None or within in (files.root / files.files[0]).parents):
            yield modality(name), files


def _each_read(dataset: Dataset) -> Iterator[tuple[Modality, NDArray[np.int64], NDArray[Any]]]:
    """Yield modality, rows and pixels for each domain and each modality that it has."""
    index = dataset.index()
    for domain in range(len(index.domains)):
        rows = _rows_of(index, domain)
        for name in dataset.modalities:
            try:
                yield modality(name), rows, np.asarray(dataset.read(rows, name, SIDE))
            except DataError:
                continue


def _rows_of(index: Index, domain: int) -> NDArray[np.int64]:
    rows = np.flatnonzero(index.domain == domain)
    return rows[:: max(1, len(rows) // MOST)][:MOST]


def _is_there(files: ImageFiles, name: str) -> bool:
    try:
        stored(files.root / name, files.reader).stat()
    except OSError:
        return False
    return True


def _median_fault(pixels: NDArray[Any], kind: Modality) -> tuple[str, str] | None:
    """Return the median of values in a unit that lies out of the valid range; None where all is well."""
    if pixels.dtype.kind != "f":
        return None
    middle, (low, high) = float(np.median(pixels)), kind.valid
    fits = low <= middle <= high
    return None if fits else (f"{kind.name} pixels with a median of {middle:.4g}", f"{low:g} to {high:g} {kind.unit}")


def _sentence(what: str, fault: tuple[str, str]) -> str:
    return f"{what} returned {fault[0]}; expected {fault[1]}"
