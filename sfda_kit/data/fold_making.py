"""Making of folds: repeated stratified group folds, with source and target-train groups beside each held-out part.

scikit-learn's ``StratifiedGroupKFold`` deals groups such that each part has the class shares of the whole as far as
groups allow. It promises no class to a part, so a draw that leaves a part without a class is drawn again.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.data.fold_file import FoldFile, FoldGroup, contents, groups_on_disk
from sfda_kit.errors import DataError
from sfda_kit.interfaces.dataset import PARTS

if TYPE_CHECKING:
    from sfda_kit.interfaces.dataset import Dataset, Index

FOLDS, REPEATS = 4, 5
SOURCE_FIFTHS, FIFTHS = 3, 5
"""Three of five parts of the groups that are not held out are source: with four folds 45 % of all, and 30 % target."""
DRAWS = 50
"""The most draws of a repetition; the one that leaves the fewest parts without a class is taken."""
LETTER = {"source": "s", "target-train": "t", "target-test": "h"}


def make_folds(
    dataset: Dataset,
    index: Index,
    classes: Sequence[str],
    name: str,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    version: int = 1,
    about: str = "",
) -> FoldFile:
    """Return folds over the groups of ``dataset``, stratified by ``classes`` (all others are one more stratum).

    Raises ``DataError`` where the data set has official parts, or fewer groups than parts are needed.
    """
    if (index.part >= 0).any():
        raise DataError(f"{name} has official parts, which folds would break up. Use them as they are.")
    groups, member = groups_on_disk(dataset, index)
    if len(groups) < folds + FIFTHS:
        raise DataError(
            f"{name} has {len(groups)} groups, too few for {folds} folds with source and target groups beside them: "
            f"at least {folds + FIFTHS} are needed. Give finer groups (groups.csv, --group-pattern), or fewer folds."
        )
    codes = [index.classes.index(one) for one in classes]
    strata = np.where(np.isin(index.label, codes), index.label, len(index.classes)).astype(np.int64)
    strata = strata * len(index.domains) + index.domain
    columns = [
        part for repeat in range(repeats) for part in _repetition(strata, member, len(groups), folds, [seed, repeat])
    ]
    letters = np.array([LETTER[part] for part in PARTS[:3]])[np.stack(columns, axis=1)]
    found = contents(index, groups, member)
    held = {
        group: FoldGroup(parts="".join(row), classes=found[group][0], samples=found[group][1])
        for group, row in zip(groups, letters, strict=True)
    }
    return FoldFile(
        name=name,
        version=version,
        about=about,
        folds=folds,
        repeats=repeats,
        seed=seed,
        classes=tuple(classes),
        groups=held,
    ).sealed()


def _repetition(
    strata: NDArray[np.int64], member: NDArray[np.int64], groups: int, folds: int, seed: list[int]
) -> list[NDArray[np.int8]]:
    """Return the part of each group in every fold of one repetition; each group is held out in exactly one."""
    best: tuple[int, list[NDArray[np.int8]]] | None = None
    for number in range(DRAWS):
        rng = np.random.default_rng([*seed, number])
        columns = _drawn(strata, member, groups, folds, rng)
        missing = sum(_missing(strata, member, column) for column in columns)
        if best is None or missing < best[0]:
            best = missing, columns
        if missing <= _unavoidable(strata, member, folds):
            break
    assert best is not None
    return best[1]


def _drawn(
    strata: NDArray[np.int64], member: NDArray[np.int64], groups: int, folds: int, rng: np.random.Generator
) -> list[NDArray[np.int8]]:
    held = _dealt(strata, member, groups, folds, rng)
    columns = []
    for fold in range(folds):
        part = np.full(groups, PARTS.index("target-test"), dtype=np.int8)
        rows = held[member] != fold
        rest = _dealt(strata[rows], member[rows], groups, FIFTHS, rng)
        is_source = rest < SOURCE_FIFTHS
        others = held != fold
        part[others] = np.where(is_source[others], PARTS.index("source"), PARTS.index("target-train"))
        columns.append(part)
    return columns


def _dealt(
    strata: NDArray[np.int64], member: NDArray[np.int64], groups: int, parts: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the part (0 to ``parts`` - 1) of each group that has rows, 0 for the others."""
    from sklearn.model_selection import StratifiedGroupKFold

    found = np.zeros(groups, dtype=np.int64)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class in y", category=UserWarning)
        for part, (_, rows) in enumerate(splitter.split(strata, strata, member)):
            found[member[rows]] = part
    return found


def _missing(strata: NDArray[np.int64], member: NDArray[np.int64], column: NDArray[np.int8]) -> int:
    """Return how many (stratum, part) of a fold have no row, where a stratum with few groups needs as few parts."""
    missing = 0
    for stratum in np.unique(strata):
        own = np.unique(member[strata == stratum])
        missing += max(0, min(len(own), 3) - len(np.unique(column[own])))
    return missing


def _unavoidable(strata: NDArray[np.int64], member: NDArray[np.int64], folds: int) -> int:
    """Return the least sum of ``_missing``: a stratum with fewer groups than folds is not held out in every fold."""
    groups = [len(np.unique(member[strata == stratum])) for stratum in np.unique(strata)]
    return sum(folds - count for count in groups if 3 <= count < folds)
