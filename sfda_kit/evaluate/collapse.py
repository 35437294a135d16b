"""The collapse guard, which finds from predictions alone that a model has stopped using classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_SHARE = 0.5
"""The least share of the effective classes that a model must keep; set before any run, without any label."""


def effective_classes(counts: Sequence[int]) -> float:
    """Return exp of the entropy of a class histogram, in [1, K]; 3.0 where three classes are equally frequent."""
    share = np.asarray(counts, dtype=float)
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def is_collapsed(counts: Sequence[int], reference: Sequence[int]) -> bool:
    """Return whether predictions with the class histogram ``counts`` (K,) have collapsed.

    ``reference`` (K,) is the histogram of the model before adaptation: of the bridge where one is trained, else of the
    source model. Predictions have collapsed if every image has the same class, or if the effective number of classes
    is below half of K and below half of the reference's. The comparison with the reference allows data that were as
    skewed before adaptation; the comparison with K allows a reference that is wrong about skewed data, as long as most
    classes are in use. Fewer images than classes, or fewer than two classes, never count as collapsed.
    """
    classes, images = len(counts), sum(counts)
    if classes < 2 or images < classes:
        return False
    if max(counts) == images:
        return True
    return effective_classes(counts) < LEAST_SHARE * min(classes, effective_classes(reference))
