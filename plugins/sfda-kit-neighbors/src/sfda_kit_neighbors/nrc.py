"""NRC: neighborhood reciprocity clustering.

Paper: Yang, Wang, van de Weijer, Herranz, Jui, "Exploiting the Intrinsic Neighborhood Structure for Source-free Domain
Adaptation", NeurIPS 2021, https://arxiv.org/abs/2110.04202

Equations (section 3; our notation). Two banks hold, for every target image j, the unit feature and the softmax s_j that
it last had; p_i is the current softmax of image i of the batch. N_K(i): the K nearest features of i by cosine. E(i):
the M nearest of each of these; repetitions and i itself are kept.

    L_N    = - mean_i sum_{k in N_K(i)} A_ik <s_k, p_i>,   A_ik = 1 if i in N_M(k) (reciprocal), else r = 0.1
    L_E    = - mean_i sum_{m in E(i)} r <s_m, p_i>
    L_self = - mean_i <s_i, p_i>
    L_div  = sum_c KL(mean_i p_ic || 1/C)
    L      = L_div + L_N + L_E + L_self

No gradient flows into the banks. The rows of a batch are renewed before neighbours are sought.

Defaults: K = 3, M = 2 (Office-31, Office-Home); the paper has K = M = 5 on VisDA.

Deviations: an image is kept out of its own neighbours by its row. The paper drops the first of K + 1, which is another
image where two are alike. s_i in L_self is the batch's own answer without gradient, as the bank holds it at that
moment. The optimiser is the run's (the paper: SGD, rate 1e-3, the bottleneck tenfold).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from sfda_kit import Aligner, Recipe, entropy
from sfda_kit_neighbors.nearest import check_count, neighbour_search, positive_count

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2110.04202"


class ReciprocalNeighbors(Aligner):
    """L_N + ``expanded_weight`` L_E + ``self_weight`` L_self (module docstring).

    Options: ``neighbors`` K (3), ``expanded`` M (2), ``weak`` r (0.1), ``expanded_weight`` and ``self_weight`` (1
    each), ``search`` (README).
    """

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(
        self,
        neighbors: int = 3,
        expanded: int = 2,
        weak: float = 0.1,
        expanded_weight: float = 1.0,
        self_weight: float = 1.0,
        search: str = "torch",
    ) -> None:
        self.neighbors = positive_count(neighbors, "reciprocal-neighbors: neighbors")
        self.expanded = positive_count(expanded, "reciprocal-neighbors: expanded")
        self.weak, self.expanded_weight, self.self_weight = weak, expanded_weight, self_weight
        self.search = neighbour_search(search, "reciprocal-neighbors")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar, at least -(K + r K M + 1) with weights of 1; gradients reach p_i alone."""
        memory, predictions = signals.memory, signals.target_probabilities
        features, answers = memory.features, memory.probabilities
        check_count(self.neighbors, len(features), "reciprocal-neighbors.options.neighbors")
        check_count(self.expanded, len(features), "reciprocal-neighbors.options.expanded")
        rows = signals.target_rows.to(features.device)
        near = self.search(features[rows], features, self.neighbors, rows)
        beyond = self.search(features[near.flatten()], features, self.expanded, near.flatten())
        beyond = beyond.view(*near.shape, self.expanded)
        reciprocal = (beyond == rows[:, None, None]).any(dim=2)
        affinity = torch.where(reciprocal, 1.0, self.weak)
        near_agreement = (affinity * agreement(answers[near], predictions)).sum(dim=1)
        expanded_agreement = self.weak * agreement(answers[beyond.flatten(1)], predictions).sum(dim=1)
        own_agreement = (answers[rows] * predictions).sum(dim=1)
        total = near_agreement + self.expanded_weight * expanded_agreement + self.self_weight * own_agreement
        return -total.mean()


class Diversity(Aligner):
    """L_div = sum_c KL(mean_i p_ic || 1/C) = log C - H(mean_i p_i) (module docstring)."""

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in nats, from 0 to log C (up to the epsilon of the entropy)."""
        mean = signals.target_probabilities.mean(dim=0)
        return math.log(len(mean)) - entropy(mean)


def agreement(answers: Tensor, predictions: Tensor) -> Tensor:
    """Return <s_k, p_i>, (B, n), for answers (B, n, C) and predictions (B, C)."""
    return (answers * predictions[:, None]).sum(dim=2)


NRC = Recipe.model_validate(
    {
        "summary": "each prediction agrees with those of reciprocal neighbours and of their neighbours",
        "paper": PAPER,
        "aligners": {"reciprocal-neighbors": 1.0, "diversity": 1.0},
    }
)
