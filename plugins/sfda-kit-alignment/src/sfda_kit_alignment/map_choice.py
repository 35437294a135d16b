"""The choice of form and ridge of a feature map on left-out groups of pairs. No label and no target accuracy is read.

For each left-out group of pairs: the correlation, over its pairs, between the classifier's answer to the mapped target
half and its answer to the source half, averaged over classes (logits minus their mean over classes). It knows nothing
of offset and scale, which the standardisation sets. So pairs that do not belong together give about 0 to any map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor

from sfda_kit_alignment.feature_map import FORMS, FeatureMap, PairFeatures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RIDGES = tuple(float(10**power) for power in torch.arange(-3, 3.5, 0.5).tolist())
FEWEST_GROUPS = 4
CLEAR = 3.0
"""The standard errors by which a form must be ahead of a simpler one. Two are too few where the best of many ridges is
compared: on features of real images, two of 13 shuffles of the pairs passed them, and one passed three."""


@dataclass(frozen=True)
class MapChoice:
    """A choice is a form with its ridge (0: none). ``scores``: the mean correlation of each form at its best ridge."""

    form: str
    ridge: float
    scores: dict[str, float]


def choose(
    features: PairFeatures,
    classify: Callable[[Tensor], Tensor],
    groups: Sequence[int],
    forms: Sequence[str] = FORMS,
    ridges: Sequence[float] = RIDGES,
    folds: int = 10,
) -> MapChoice:
    """Return the simplest form that no other one is clearly ahead of, with the ridge of its best mean correlation.

    ``classify``: features (N, D) to logits (N, K); ``groups``: of the pairs. A form replaces a simpler one if it is
    ahead by ``CLEAR`` standard errors of the differences over folds, with the correction of Nadeau and Bengio (Machine
    Learning 52, 2003) for folds that share their training pairs. With fewer than ``FEWEST_GROUPS`` groups it is the
    simplest form.
    """
    in_order = [form for form in FORMS if form in forms]
    if len(set(groups)) < FEWEST_GROUPS or len(in_order) == len(ridges) == 1:
        return MapChoice(in_order[0], 0.0 if in_order[0] == "identity" else max(ridges), {})
    scores = left_out_scores(features, classify, groups, in_order, ridges, folds)
    best = {form: max(range(len(found)), key=lambda n: (found[n].mean().item(), n)) for form, found in scores.items()}
    chosen = in_order[0]
    for form in in_order[1:]:
        if is_clearly_ahead(scores[form][best[form]], scores[chosen][best[chosen]]):
            chosen = form
    means = {form: scores[form][place].mean().item() for form, place in best.items()}
    return MapChoice(chosen, 0.0 if chosen == "identity" else ridges[best[chosen]], means)


def left_out_scores(
    features: PairFeatures,
    classify: Callable[[Tensor], Tensor],
    groups: Sequence[int],
    forms: Sequence[str],
    ridges: Sequence[float],
    folds: int,
) -> dict[str, Tensor]:
    """Return the correlation of each ridge on each fold, (ridges, folds), by form; ``identity`` has one row."""
    splitter = GroupKFold(min(folds, len(set(groups))))
    found: dict[str, list[list[float]]] = {form: [] for form in forms}
    for kept, left_out in splitter.split(groups, groups=groups):
        rows, out = torch.from_numpy(kept), torch.from_numpy(left_out)
        wanted = classify(features.wanted[out])
        for form in forms:
            maps = [features.identity()] if form == "identity" else features.maps(form, tuple(ridges), rows)
            found[form].append([correlation(classify(_mapped(one, features, out)), wanted) for one in maps])
    return {form: torch.tensor(scores, dtype=torch.float64).T for form, scores in found.items()}


def _mapped(found: FeatureMap, features: PairFeatures, rows: Tensor) -> Tensor:
    return found(features.inputs[rows], features.own[rows])


def correlation(logits: Tensor, others: Tensor) -> float:
    """Return the correlation over rows of two (N, K), averaged over classes; 0 where a class is constant."""
    centred = [values - values.mean(dim=1, keepdim=True) for values in (logits, others)]
    one, other = (values - values.mean(dim=0) for values in centred)
    scale = (one.square().sum(dim=0) * other.square().sum(dim=0)).sqrt()
    return float(((one * other).sum(dim=0) / scale.clamp_min(1e-12)).mean())


def is_clearly_ahead(scores: Tensor, others: Tensor) -> bool:
    """Return whether ``scores`` (folds,) lie ``CLEAR`` corrected standard errors above ``others``."""
    gains, folds = scores - others, len(scores)
    error = gains.var(correction=1) * (1 / folds + 1 / (folds - 1))
    return bool(gains.mean() > 0 and gains.mean() > CLEAR * error.sqrt())
