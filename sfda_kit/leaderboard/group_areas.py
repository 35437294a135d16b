"""The area under the ROC curve by groups of images (scenes, videos), as a mean of one pseudo-value for each group.

For a class with P images and N others, V_i is the share of others that score lower than image i of the class, and V_j
the share of the class that scores higher than the other image j (equal scores count as half): the structural components
of DeLong et al. (Biometrics 44, 1988). The area is A = mean V_i = mean V_j. The influence of group g, and its
pseudo-value, are

    h_g = sum_{i in g} (V_i - A) / P + sum_{j in g} (V_j - A) / N,   v_g = A + G h_g,

averaged over classes. The mean of v_g is A. When G - 1 of the G groups are drawn with replacement, the variance of
their mean is G / (G - 1) sum_g h_g^2, which is that of Obuchowski for clustered data (Biometrics 53, 1997).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pseudo_values(probabilities: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any]) -> Floats | None:
    """Return the pseudo-values (G,) of the mean over classes of the area of each class against the rest, in [0, 1].

    ``probabilities`` (N, K); ``labels`` and ``groups``: codes from 0, (N,). Classes that are the label of no image, or
    of every image, are left out; None where none is left.
    """
    count = int(groups.max()) + 1
    found = [
        _of_class(probabilities[:, k], labels == k, groups, count) for k in np.unique(labels) if (labels != k).any()
    ]
    return np.mean(found, axis=0) if found else None


def _of_class(scores: NDArray[Any], own: NDArray[np.bool_], groups: NDArray[Any], count: int) -> Floats:
    from scipy.stats import rankdata

    among_all = rankdata(scores)
    share = np.empty(len(scores))
    share[own] = (among_all[own] - rankdata(scores[own])) / (~own).sum()
    share[~own] = 1 - (among_all[~own] - rankdata(scores[~own])) / own.sum()
    area = share[own].mean()
    influence = (share - area) / np.where(own, own.sum(), (~own).sum())
    return np.asarray(area + count * np.bincount(groups, influence, minlength=count))
