"""Splitting of whole groups (rooms, videos, patients) into the parts of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sfda_kit.config.models import SHARES
from sfda_kit.interfaces.dataset import PARTS, Index


def split_groups(index: Index, split_seed: int, shares: Sequence[float] = SHARES) -> NDArray[np.int8]:
    """Return the part of each row: the official one where declared, else whole groups by ``shares`` and ``split_seed``.

    The shares hold for each class in each domain (a kind of images) as far as groups allow. Kinds are handled in turn,
    the one in the fewest groups first, and its groups go, largest first, to the part that lacks most of that kind. A
    split by size alone would leave parts without images of rare classes. A group in several domains goes to one part.
    """
    part: NDArray[np.int8] = index.part.copy()
    rows = np.flatnonzero(part < 0)
    if len(rows):
        groups, inverse = np.unique(index.group[rows], return_inverse=True)
        kinds = np.unique(
            index.domain[rows].astype(np.int64) * len(index.classes) + index.label[rows], return_inverse=True
        )
        counts = np.zeros((len(groups), len(kinds[0])))
        np.add.at(counts, (inverse, kinds[1]), 1)
        part[rows] = _split(counts, np.array(shares), np.random.default_rng(split_seed))[inverse]
    return part


def _split(counts: NDArray[np.float64], share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Return the part code of each group, from the image counts (groups, kinds)."""
    filled = np.zeros((len(share), counts.shape[1]))
    chosen = np.full(len(counts), -1)
    shuffled = rng.permutation(len(counts))
    for kind in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        members = shuffled[(chosen[shuffled] < 0) & (counts[shuffled, kind] > 0)]
        for group in members[np.argsort(-counts[members, kind], kind="stable")]:
            lack = share * counts[:, kind].sum() - filled[:, kind]
            overall = share * counts.sum() - filled.sum(axis=1)
            # A part without any image of this kind takes precedence, then the part that lacks most.
            best = np.lexsort((overall, lack, filled[:, kind] == 0))[-1]
            chosen[group] = best
            filled[best] += counts[group]
    return chosen.astype(np.int8)


def split_around_test(
    strata: Sequence[str],
    groups: Sequence[str],
    is_test: NDArray[np.bool_],
    seed: int,
    shares: Sequence[float] = SHARES,
) -> tuple[list[int], list[str]]:
    """Split frames by group into source and target-train, as ``shares`` say, where official lists name the test frames.

    Returns the parts, and groups that are cut where the lists cut them. Each argument has one entry per frame.
    """
    groups = [f"{group} (test)" if tested else group for group, tested in zip(groups, is_test, strict=True)]
    of_source = shares[0] / (shares[0] + shares[1])
    rest = [int(row) for row in np.flatnonzero(~is_test)]
    to_source = split_in_two([strata[row] for row in rest], [groups[row] for row in rest], of_source, seed)
    codes = {True: PARTS.index("source"), False: PARTS.index("target-train")}
    test = PARTS.index("target-test")
    parts = [test if tested else codes[to_source[group]] for group, tested in zip(groups, is_test, strict=True)]
    return parts, groups


def split_in_two(strata: Sequence[str], groups: Sequence[str], share: float, seed: int) -> dict[str, bool]:
    """Return for each group whether it goes to the first of two parts, which takes ``share`` of the frames.

    In each stratum (a class in a domain), groups in random order go to the part that is furthest below its share.
    """
    members: dict[str, list[str]] = {}
    for stratum, group in zip(strata, groups, strict=True):
        members.setdefault(stratum, []).append(group)
    is_first: dict[str, bool] = {}
    generator = np.random.default_rng(seed)
    for stratum in sorted(members):
        sizes = Counter(group for group in members[stratum] if group not in is_first)
        names = list(sizes)
        first, total = 0, 0
        for number in generator.permutation(len(names)):
            group = names[number]
            is_first[group] = first <= share * total
            total += sizes[group]
            first += sizes[group] * is_first[group]
    return is_first
