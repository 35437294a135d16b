"""A task assigns rows of a dataset to roles. It fixes the whole protocol before adaptation begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfda_kit.config.digest import digest
from sfda_kit.config.models import DatasetConfig
from sfda_kit.data.checked_dataset import checked_index
from sfda_kit.data.copies import without_copies
from sfda_kit.data.fold_file import parts_of_fold, read_folds
from sfda_kit.data.group_split import split_groups
from sfda_kit.data.lone_groups import refuse_lone_groups
from sfda_kit.data.subsample import subsample
from sfda_kit.errors import DataError, UserError, did_you_mean
from sfda_kit.interfaces.dataset import PARTS, Dataset, Index, Split
from sfda_kit.plugins.modalities import check_unit, modality

if TYPE_CHECKING:
    from collections.abc import Iterable

Rows = NDArray[np.int64]
LEAST_IMAGES = 2
"""Batch normalisation has no variance over one image."""


@dataclass(frozen=True)
class Sensor:
    """A sensor is a modality in a domain, written ``modality@domain``."""

    modality: str
    domain: str

    @classmethod
    def parse(cls, text: str, dataset: Dataset, domains: Iterable[str]) -> Sensor:
        """Parse a text such as ``rgb@kv1``. Raises ``UserError`` naming the known modalities or domains."""
        kind, at, domain = text.partition("@")
        domains = list(domains)
        if not at:
            if len(domains) != 1:
                raise UserError(f"{text!r}: expected MODALITY@DOMAIN with a domain of {domains}.")
            domain = domains[0]
        modality(kind)
        if kind not in dataset.modalities:
            raise UserError(f"{text!r}: the dataset has no modality {kind!r}. {did_you_mean(kind, dataset.modalities)}")
        if domain not in domains:
            raise UserError(f"{text!r}: the dataset has no domain {domain!r}. {did_you_mean(domain, domains)}")
        return cls(kind, domain)

    def __str__(self) -> str:
        return f"{self.modality}@{self.domain}"


@dataclass(frozen=True)
class Task:
    """A task holds rows by role, the TR class names in label order, and notices for the readers of the record.

    ``folds``: what the record says of the fold, empty where the parts come from ``split_seed`` or the data set.
    ``relevant_pairs``: the rows of TR classes where TI pairs come from, in groups that are not held out; only a stress
    reads them (``data/stressed_rows.py``).
    """

    dataset: Dataset
    index: Index
    source: Sensor
    target: Sensor
    classes: tuple[str, ...]
    ti_classes: tuple[str, ...]
    rows: Mapping[str, Rows]
    notices: tuple[str, ...]
    fingerprint: str
    folds: Mapping[str, Any] = field(default_factory=dict)
    relevant_pairs: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def labels(self, part: str) -> NDArray[np.int64]:
        """Return the TR labels 0..K-1 of the rows of ``part``."""
        return self.labels_of(self.rows[part])

    def labels_of(self, rows: Rows) -> NDArray[np.int64]:
        """Return the TR labels 0..K-1 of ``rows`` of the data set, which are all of TR classes."""
        code = {self.index.classes.index(name): k for k, name in enumerate(self.classes)}
        return np.array([code[int(c)] for c in self.index.label[rows]], dtype=np.int64)

    def names(self, part: str) -> list[str]:
        """Return the sample names of the rows of ``part``."""
        return [self.index.names[int(row)] for row in self.rows[part]]

    def groups(self, part: str) -> list[int]:
        """Return the group codes of the rows of ``part``."""
        return [int(g) for g in self.index.group[self.rows[part]]]


def build_task(dataset: Dataset, config: DatasetConfig) -> Task:
    """Resolve sensors, split and parts without computing anything. Raises ``UserError`` or ``DataError``."""
    index = checked_index(dataset)
    source = Sensor.parse(config.source, dataset, index.domains)
    target = Sensor.parse(config.target, dataset, index.domains)
    check_unit(config.unit, (source.modality, target.modality))
    split = choose_split(dataset, config, index)
    keep, notices = _without_bad(dataset, config, source, target, len(index.label))
    parts, folds = _parts(dataset, index, config, (source, target))
    rows, classes, left_out = _rows_by_role(index, split, parts, source, target, config, keep)
    if config.skip_bad:
        rows, copied = without_copies(dataset, rows, source.modality, target.modality)
        left_out += copied
    rows, thinned = subsample(rows, index, config)
    ti = tuple(sorted({index.classes[int(c)] for c in index.label[rows["ti"]]}))
    notices = [*index.notices, *notices, *left_out, *thinned]
    hashes = {part: digest([index.names[int(r)] for r in selected]) for part, selected in rows.items()}
    fingerprint = digest([dataset.fingerprint(), str(source), str(target), classes, hashes])
    relevant = _relevant_pairs(index, split, parts, target, config, keep & _is_of(index, classes))
    return Task(dataset, index, source, target, classes, ti, rows, tuple(notices), fingerprint, folds, relevant)


def _is_of(index: Index, classes: Iterable[str]) -> NDArray[np.bool_]:
    return np.isin(index.label, [index.classes.index(name) for name in classes])


def _relevant_pairs(
    index: Index, split: Split, part: NDArray[np.int8], target: Sensor, config: DatasetConfig, chosen: NDArray[np.bool_]
) -> Rows:
    """Return the rows of ``chosen`` that lie in the domains of TI pairs, in groups that are not held out."""
    in_domain = (index.domain == index.domains.index(target.domain)) | (split.ti_domains == "all")
    trained = np.isin(part, (0, 1) if config.ti_groups == "training" else (1,)) | (config.protocol == "paper")
    return np.flatnonzero(chosen & in_domain & trained)


def _parts(
    dataset: Dataset, index: Index, config: DatasetConfig, sensors: tuple[Sensor, Sensor]
) -> tuple[NDArray[np.int8], Mapping[str, Any]]:
    """Return the part of each row, and what a record says of the fold where there is one."""
    if config.fold is not None:
        file = read_folds(config.folds, config.root)
        return parts_of_fold(file, config.fold, dataset, index), file.described(config.fold)
    if config.protocol == "paper":
        return index.part, {}
    parts = split_groups(index, config.split_seed, config.shares)
    refuse_lone_groups(dataset, index, config.tr_classes or (), parts, sensors)
    return parts, {}


def refuse_single_image(rows: Mapping[str, Rows]) -> None:
    """Raise ``DataError`` where the target has too few training images to train on."""
    if len(rows["target-train"]) < LEAST_IMAGES:
        raise DataError(
            f"The target has {len(rows['target-train'])} training image; training needs at least {LEAST_IMAGES}: batch "
            "normalisation has no variance over one image. Add images, or give it a larger share (--shares)."
        )


def choose_split(dataset: Dataset, config: DatasetConfig, index: Index) -> Split:
    """Return the split that the user named or spelt out, else the dataset's first. Raises ``UserError`` if invalid."""
    if config.tr_classes:
        split = Split(config.tr_classes, config.ti_classes or ())
    else:
        splits = dataset.splits()
        name = config.split or next(iter(splits), None)
        if name is None or name not in splits:
            raise UserError(
                f"Unknown split {name!r} of {config.name}. {did_you_mean(str(name), splits)} "
                f"Or name classes with --tr-classes A,B --ti-classes C,D; on the disk: {', '.join(index.classes)}."
            )
        split = splits[name]
        if config.ti_classes is not None:  # an empty list asks for a task without TI pairs
            split = Split(split.tr_classes, config.ti_classes, split.ti_domains)
    if twice := sorted(name for name, count in Counter(split.tr_classes).items() if count > 1):
        raise UserError(f"Classes {twice} are named twice. Name each once; their order is that of the labels.")
    if overlap := sorted(set(split.tr_classes) & set(split.ti_classes)):
        raise UserError(
            f"Listed as both TR and TI: {', '.join(overlap)}. A class can play one role only; remove it from one."
        )
    if config.tr_classes or config.ti_classes:
        for name in (*(config.tr_classes or ()), *(config.ti_classes or ())):
            if name not in index.classes:
                raise UserError(f"The dataset has no class {name!r}. {did_you_mean(name, index.classes)}")
    return split


def _rows_by_role(
    index: Index,
    split: Split,
    part: NDArray[np.int8],
    source: Sensor,
    target: Sensor,
    config: DatasetConfig,
    keep: NDArray[np.bool_],
) -> tuple[dict[str, Rows], tuple[str, ...], list[str]]:
    domain = {name: code for code, name in enumerate(index.domains)}
    is_source = (index.domain == domain[source.domain]) & keep
    is_target = (index.domain == domain[target.domain]) & keep
    official_ti = bool((index.part == PARTS.index("ti")).any())
    if config.protocol == "paper":  # nothing is held out, and a group may be on both sides
        selections, not_ti = {"source": is_source, "target-train": is_target}, np.zeros_like(keep)
    else:
        selections = {
            "source": is_source & (part == 0),
            "target-train": is_target & (part == 1),
            "target-test": is_target & (part == 2),
        }
        not_ti = part == 2 if config.ti_groups == "training" else part != 1
        if official_ti:
            not_ti = part != 3
    classes, notices = _usable_classes(index, split.tr_classes, selections, config.minimum_images)
    relevant = _is_of(index, classes)
    rows = {name: np.flatnonzero(selected & relevant) for name, selected in selections.items()}
    ti_codes = [index.classes.index(c) for c in split.ti_classes if c in index.classes]
    in_domain = is_target if split.ti_domains == "target" else keep
    rows["ti"] = np.flatnonzero(in_domain & ~not_ti & np.isin(index.label, ti_codes))
    rows.setdefault("target-test", rows["ti"][:0])
    if len(rows["ti"]) == 1:
        notices.append("a single TI pair was left out: batch normalisation has no variance over one image")
        rows["ti"] = rows["ti"][:0]
    missing = sorted(set(split.ti_classes) - set(index.classes))
    if missing:
        notices.append(f"TI classes not on the disk: {', '.join(missing)}")
    # The order of rows must not reveal the class, so each part is shuffled once, with a seed that no run changes.
    for code, name in enumerate(PARTS):
        rows[name] = np.random.default_rng([1, code]).permutation(rows[name])
    return rows, classes, notices


def _usable_classes(
    index: Index, wanted: tuple[str, ...], selections: Mapping[str, NDArray[np.bool_]], minimum: int
) -> tuple[tuple[str, ...], list[str]]:
    usable: list[str] = []
    notices: list[str] = []
    filled = dict.fromkeys(selections, 0)
    for name in wanted:
        if name not in index.classes:
            notices.append(f"TR class {name!r} left out: no image on the disk")
            continue
        code = index.classes.index(name)
        counts = {part: int((selected & (index.label == code)).sum()) for part, selected in selections.items()}
        found = ", ".join(f"{part} {count}" for part, count in counts.items())
        # A source model cannot know a class that it never saw. The target may lack a class, as in published tasks.
        if min(counts.values()) < minimum or not counts["source"]:
            notices.append(f"TR class {name!r} left out: fewer than {max(minimum, 1)} images in a part ({found})")
            continue
        if not all(counts.values()):
            notices.append(f"TR class {name!r} is not seen in every part ({found})")
        usable.append(name)
        filled = {part: filled[part] + count for part, count in counts.items()}
    if len(usable) < 2 or not all(filled.values()):
        raise DataError(
            "Fewer than two TR classes have enough images in each part:\n  "
            + "\n  ".join(notices or ["no class was asked for"])
            + "\nName other classes (--tr-classes), add images, or accept fewer: --set dataset.minimum_images=1. All "
            "images of one group go into one part, because a split never cuts a group: where the groups are too few, "
            "give finer ones (groups.csv, --group-pattern)."
        )
    return tuple(usable), notices


def _without_bad(
    dataset: Dataset, config: DatasetConfig, source: Sensor, target: Sensor, count: int
) -> tuple[NDArray[np.bool_], list[str]]:
    keep = np.ones(count, dtype=np.bool_)
    if not config.skip_bad:
        return keep, []
    bad = dataset.bad_rows((source.modality, target.modality))
    keep[list(bad)] = False
    return keep, [f"left out (--skip-bad): {reason}" for reason in bad.values()]
