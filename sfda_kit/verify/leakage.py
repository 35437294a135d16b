"""Notices on what may tell classes without the content of a picture, and on groups that hold TR and TI pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.datasets.folder_dataset import SceneRow
from sfda_kit.errors import UserError
from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index, Split

FOLDS = 5
FEWEST_GROUPS = 20
"""With fewer groups the standard error over groups says little."""
MOST_ROWS = 5000
"""Rows of a large set that are looked at, drawn by a fixed seed."""
ERRORS, POINTS = 3.0, 0.05
"""Clearly above: by more standard errors over groups than this, and by more than this share of the pictures."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def ti_beside_tr(dataset: Dataset, index: Index) -> Iterator[Finding]:
    """Yield the share of TI pictures in groups that hold TR pictures too, where classes have roles."""
    split = _split(dataset, index)
    if split is None:
        return
    is_tr, is_ti = (np.isin(index.label, _codes(index, names)) for names in (split.tr_classes, split.ti_classes))
    beside = is_ti & np.isin(index.group, np.unique(index.group[is_tr]))
    if beside.any():
        count, all_ = int(beside.sum()), int(is_ti.sum())
        what = f"{count:,} of {all_:,} TI pictures ({count / all_:.0%}) are in groups that also hold TR pictures"
        yield Finding("ti-beside-tr", ".", what)


def classes_without_content(
    dataset: Dataset, index: Index, rows: Sequence[SceneRow], facts: Mapping[str, FileFacts]
) -> Iterator[Finding]:
    """Yield the modalities whose classes a classifier tells from file size, aspect and mean level alone.

    Only TR classes count where they are named. Whole groups are left out to test it.
    """
    split = _split(dataset, index)
    known = np.isin(index.label, _codes(index, split.tr_classes)) if split else np.ones(len(index.label), dtype=bool)
    for modality in sorted({name for row in rows for name in row.files}):
        chosen = [n for n, row in enumerate(rows) if known[n] and _is_usable(row.files.get(modality), facts)]
        if len(chosen) > MOST_ROWS:
            chosen = sorted(np.random.default_rng(0).choice(chosen, MOST_ROWS, replace=False))
        files = [facts[rows[n].files[modality]] for n in chosen]
        values = np.array([_values(file, modality) for file in files]).reshape(len(files), 3)
        found = told_from(values, index.label[chosen].astype(np.int64), index.group[chosen].astype(np.int64))
        if found:
            what = (
                f"size, aspect and mean level of a file alone tell the class of {found[0]:.0%} of the {modality} "
                f"pictures in groups that were left out; the most frequent class is right for {found[1]:.0%}"
            )
            yield Finding("class-without-content", ".", what)


def told_from(values: Floats, labels: Codes, groups: Codes) -> tuple[float, float] | None:
    """Return the accuracies of a forest on ``values`` (N, F), over left-out groups, and of the most frequent class.

    None where the forest is not clearly better, or there are too few groups to say so. Accuracies are shares.
    """
    if len(np.unique(groups)) < FEWEST_GROUPS or len(np.unique(labels)) < 2 or (values == values[:1]).all():
        return None
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict

    forest = RandomForestClassifier(n_estimators=50, min_samples_leaf=3, random_state=0)
    right = cross_val_predict(forest, values, labels, groups=groups, cv=GroupKFold(FOLDS)) == labels
    constant = labels == np.bincount(labels).argmax()
    gain, error = _mean_over_groups(right.astype(np.float64) - constant, groups)
    return (float(right.mean()), float(constant.mean())) if gain > max(POINTS, ERRORS * error) else None


def _mean_over_groups(values: Floats, groups: Codes) -> tuple[float, float]:
    """Return the mean of ``values`` (N,) and its standard error for other groups, whose sums vary independently."""
    mean = float(values.mean())
    _, member = np.unique(groups, return_inverse=True)
    sums = np.bincount(member, values - mean)
    return mean, math.sqrt(len(sums) / (len(sums) - 1) * float(np.square(sums).sum())) / len(values)


def _values(file: FileFacts, modality: str) -> tuple[float, float, float]:
    header, pixels = file.header, file.pixels.get(modality)
    aspect = header.width / max(header.height, 1) if header else 1.0
    return float(file.size), aspect, pixels.mean if pixels else 0.0


def _is_usable(path: str | None, facts: Mapping[str, FileFacts]) -> bool:
    return path is not None and path in facts and facts[path].usable


def _codes(index: Index, names: Sequence[str]) -> list[int]:
    return [index.classes.index(name) for name in names if name in index.classes]


def _split(dataset: Dataset, index: Index) -> Split | None:
    """Return the roles of the classes, None where they are not known; ``check_split`` tells why."""
    from sfda_kit.data.task import choose_split

    try:
        return choose_split(dataset, dataset.config, index)
    except UserError:
        return None
