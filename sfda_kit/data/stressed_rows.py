"""Rows of a task that are made worse on purpose: pairs of TR classes among the TI pairs, and unbalanced classes.

Everything is drawn from the seed of the run. A larger severity holds what a smaller one has, where that is possible.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfda_kit.errors import UserError

if TYPE_CHECKING:
    from sfda_kit.config.models import DatasetConfig
    from sfda_kit.data.task import Task

Rows = NDArray[np.int64]

_LEAKED, _IMBALANCE = 21, 22
"""Keep these random numbers apart from others that are drawn from the same seed."""


def stressed_task(task: Task, config: DatasetConfig, seed: int) -> Task:
    """Return the task with the rows that the stress of ``config`` asks for, and a notice for each change.

    The fingerprint stays that of the data. Raises ``UserError`` where the task has no pairs to stress, or too few
    images for it.
    """
    stress = config.stress
    if stress is None:
        return task
    if stress.touches_pairs and not len(task.rows["ti"]):
        key = next(iter(stress.told))
        raise UserError(
            f"dataset.stress.{key} changes TI pairs, and this task has none. Name TI classes (--ti-classes A,B), or "
            "leave it out."
        )
    rows, notices = dict(task.rows), []
    if stress.leaked_pairs:
        rows["ti"], found = with_leak(task.rows["ti"], task.relevant_pairs, stress.leaked_pairs, seed)
        notices.append(f"{found} of {len(rows['ti'])} TI pairs show TR classes (dataset.stress.leaked_pairs)")
    if stress.imbalance is not None:
        kept = unbalanced(task.labels("target-train"), stress.imbalance, seed)
        rows["target-train"] = task.rows["target-train"][kept]
        there = len(task.rows["target-train"])
        notices.append(
            f"{len(kept)} of {there} target training images are used, with a ratio of {stress.imbalance:g} between the "
            "most and the least frequent class (dataset.stress.imbalance)"
        )
    if others := [f"{key} {value:g}" for key, value in stress.told.items() if key not in ("leaked_pairs", "imbalance")]:
        notices.append(f"made worse on purpose (dataset.stress): {', '.join(others)}")
    return replace(task, rows=rows, notices=(*task.notices, *notices))


def with_leak(pairs: Rows, relevant: Rows, share: float, seed: int) -> tuple[Rows, int]:
    """Return ``pairs`` (N,) of which ``share`` are replaced by some of the rows ``relevant``, and their number.

    Raises ``UserError`` where ``relevant`` has too few.
    """
    rng = np.random.default_rng([seed, _LEAKED])
    count = round(share * len(pairs))
    if count > len(relevant):
        raise UserError(
            f"dataset.stress.leaked_pairs asks for {count} pairs of TR classes, and this task has {len(relevant)} in "
            f"groups that are not held out. Give at most {len(relevant) / len(pairs):.2g}."
        )
    found = pairs.copy()
    found[rng.permutation(len(pairs))[:count]] = rng.permutation(relevant)[:count]
    return found, count


def unbalanced(labels: Rows, imbalance: float, seed: int) -> Rows:
    """Return the places of ``labels`` (N,) to keep, in their order, so that class counts fall geometrically.

    The most frequent class has ``imbalance`` times as many as the rarest, each class keeps at least one, and as many
    images stay as that allows. Classes keep their order by frequency, so that few are lost; the seed decides between
    equal ones, and which images stay.
    """
    rng = np.random.default_rng([seed, _IMBALANCE])
    classes, counts = np.unique(labels, return_counts=True)
    order = np.lexsort((rng.permutation(len(classes)), -counts))
    shares = imbalance ** -(np.arange(len(classes)) / max(len(classes) - 1, 1))
    scale = (counts[order] / shares).min()
    wanted = np.maximum(1, np.floor(scale * shares + 1e-9)).astype(np.int64)
    mixed = rng.permutation(len(labels))
    kept = [mixed[labels[mixed] == classes[code]][:count] for code, count in zip(order, wanted, strict=True)]
    return np.sort(np.concatenate(kept))
