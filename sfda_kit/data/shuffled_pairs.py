"""TI pairs whose source halves are exchanged, all of them as a control, or a share of them as a stress.

The control shows whether the gain of a method is one of its pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from sfda_kit.config.models import Pairs
    from sfda_kit.data.task import Task

Rows = NDArray[np.int64]

_STREAM = 7
"""Keeps these random numbers apart from others that are drawn from the same seed."""


def source_halves(task: Task, pairs: Pairs, seed: int, wrong: float = 0.0) -> Rows:
    """Return the row of the source half of each TI pair of ``task``, int64 (N,).

    ``wrong``: the share of matched pairs that exchange their halves (``wrong_pairs``).

    Raises ``UserError`` where pairs are to be shuffled and the task has none: its run would be a control of nothing.
    """
    rows = task.rows["ti"]
    if pairs == "matched":
        return np.asarray(rows[wrong_pairs(len(rows), wrong, seed)])
    if not len(rows):
        raise UserError(
            f"dataset.pairs is {pairs}, and this task has no TI pairs. Name TI classes (--ti-classes A,B), or leave "
            "--pairs out."
        )
    return np.asarray(rows[other_pairs(classes_to_shuffle(task, pairs), seed)])


def classes_to_shuffle(task: Task, pairs: Pairs) -> Rows:
    """Return a code (N,) for each TI pair; halves are exchanged between pairs of one code."""
    labels = np.asarray(task.index.label[task.rows["ti"]], dtype=np.int64)
    return labels if pairs == "shuffled-within-class" else np.zeros_like(labels)


def other_pairs(codes: Rows, seed: int) -> Rows:
    """Return a random permutation (N,) that keeps each row within its code and, where a code has two rows, moves it.

    The rows of a code form one cycle in random order (Sattolo 1986), so no row of a code with others stays in place.
    """
    rng = np.random.default_rng([seed, _STREAM])
    found = np.arange(len(codes))
    for code in np.unique(codes):
        cycle = rng.permutation(np.flatnonzero(codes == code))
        found[cycle] = np.roll(cycle, 1)
    return found


def wrong_pairs(count: int, share: float, seed: int) -> Rows:
    """Return an order (N,) of ``count`` pairs in which ``share`` of them, at least two, have moved and the rest not.

    They form one cycle, as in ``other_pairs``. With the same seed the pairs of a smaller share are among those of a
    larger one.
    """
    found = np.arange(count)
    if share:
        cycle = np.random.default_rng([seed, _STREAM, 1]).permutation(count)[: max(2, round(share * count))]
        found[cycle] = np.roll(cycle, 1)
    return found


def pair_notices(task: Task, pairs: Pairs) -> list[str]:
    """Return a sentence for the record where pairs are shuffled, with the number of pairs that could not be moved."""
    if pairs == "matched":
        return []
    _, counts = np.unique(classes_to_shuffle(task, pairs), return_counts=True)
    alone = int((counts == 1).sum())
    where = "of another pair of its class" if pairs == "shuffled-within-class" else "of another pair"
    left = f"; {alone} are alone in their class and stay as they are" if alone else ""
    return [f"a control: each target half of the TI pairs has the source half {where} (dataset.pairs){left}"]
