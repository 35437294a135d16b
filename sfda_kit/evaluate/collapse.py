"""The collapse guard: has a model stopped using classes? Judged by its predictions alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_SHARE = 0.5
"""A model keeps at least this share of the effective classes. A convention, set before any run: no label
was looked at for it."""


def effective_classes(counts: Sequence[int]) -> float:
    """exp of the entropy of a class histogram, in [1, K]: 3.0 where three classes are equally frequent."""
    share = np.asarray(counts, dtype=float)
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def is_collapsed(counts: Sequence[int], reference: Sequence[int]) -> bool:
    """Whether predictions with histogram ``counts`` (K,) have collapsed; ``reference`` is that of the
    model before adaptation: the bridge's where one is trained, else the source model's.

    Either of two rules: every image is predicted as one and the same class; or the effective number of
    classes is below half of K *and* below half of the reference's. The first half lets a data set be
    skewed as far as it was before adaptation, the second lets a reference be wrong about skewed data as
    long as most classes are in use. Fewer images than classes tell nothing.
    """
    classes, images = len(counts), sum(counts)
    if classes < 2 or images < classes:
        return False
    if max(counts) == images:
        return True
    return effective_classes(counts) < LEAST_SHARE * min(classes, effective_classes(reference))
