"""NRC: neighborhood reciprocity clustering.

Paper: Yang, Wang, van de Weijer, Herranz, Jui, "Exploiting the Intrinsic Neighborhood Structure for Source-free Domain
Adaptation", NeurIPS 2021, https://arxiv.org/abs/2110.04202

Equations (section 3; our notation), as the authors' code computes them. Two banks hold, for every target image j, the
unit feature and the softmax s_j that it last had; p_i is the current softmax of image i of the batch. N(i): the K
nearest features of i by cosine, without i. E(k): the M nearest of k, without k; i may be among them. r = 0.1:

    L_E   = - mean_i sum_{k in N(i)} sum_{m in E(k)} r <s_m, p_i>
    L_N   = - mean_i sum_{k in N(i)} a_ik <s_k, p_i>
    L_div = sum_c q_c log(q_c + 1e-5),   q = mean_i p_i
    L     = L_E + L_N + L_div

    a_ik  = 1 if i is in E(k) (reciprocal), else r      variant "reciprocal", office-home/train_tar.py
    a_ik  = r                                           variant "flat", train_tar.py (VisDA-C)

An image has no term of its own (L_self of the paper): it acts through its place in E(k). No gradient flows into the
banks. The rows of a batch are renewed before neighbours are sought. The banks are filled once, from augmented images
in evaluation mode. Backbone, bottleneck and classifier train.

Defaults: K = 3, M = 2, variant "reciprocal" (Office-Home). The presets have the values of each data set.

Deviations stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from sfda_kit import Aligner, Recipe, UserError, did_you_mean, entropy
from sfda_kit_neighbors.nearest import check_count, neighbour_search, positive_count

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2110.04202"
VARIANTS = ("reciprocal", "flat")
WEAK = 0.1
"""The affinity r of neighbours that are not reciprocal, and of neighbours' neighbours."""


class ReciprocalNeighbors(Aligner):
    """L_N + L_E (module docstring).

    Options: ``neighbors`` K (3), ``expanded`` M (2), ``variant`` (reciprocal), ``search`` (README).
    """

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(
        self, neighbors: int = 3, expanded: int = 2, variant: str = "reciprocal", search: str = "torch"
    ) -> None:
        self.neighbors = positive_count(neighbors, "reciprocal-neighbors: neighbors")
        self.expanded = positive_count(expanded, "reciprocal-neighbors: expanded")
        if variant not in VARIANTS:
            raise UserError(f"reciprocal-neighbors: there is no variant {variant!r}. {did_you_mean(variant, VARIANTS)}")
        self.variant = variant
        self.search = neighbour_search(search, "reciprocal-neighbors")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [-(K + r K M), 0]; gradients reach p_i alone."""
        answers, predictions = signals.memory.probabilities, signals.target_probabilities
        rows = signals.target_rows.to(answers.device)
        near, beyond = self.neighbourhood(signals.memory.features, rows)
        near_agreement = self.affinity(beyond, rows, answers.dtype) * agreement(answers[near], predictions)
        expanded_agreement = WEAK * agreement(answers[beyond.flatten(1)], predictions)
        return -(near_agreement.sum(dim=1) + expanded_agreement.sum(dim=1)).mean()

    def neighbourhood(self, features: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return N(i) (B, K) and E(k) (B, K, M) of the images ``rows`` (B,) among unit ``features`` (N, D)."""
        check_count(self.neighbors, len(features), "reciprocal-neighbors.options.neighbors")
        check_count(self.expanded, len(features), "reciprocal-neighbors.options.expanded")
        near = self.search(features[rows], features, self.neighbors, rows)
        beyond = self.search(features[near.flatten()], features, self.expanded, near.flatten())
        return near, beyond.view(*near.shape, self.expanded)

    def affinity(self, beyond: Tensor, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a_ik (B, K) from E(k) (B, K, M)."""
        values = torch.full(beyond.shape[:2], WEAK, dtype=dtype, device=beyond.device)
        if self.variant == "reciprocal":
            values[(beyond == rows[:, None, None]).any(dim=2)] = 1.0
        return values


class Diversity(Aligner):
    """L_div = sum_c q_c log(q_c + 1e-5) for q = mean_i p_i (module docstring)."""

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in nats, from - log C to 0 (up to the epsilon of the entropy)."""
        return -entropy(signals.target_probabilities.mean(dim=0))


def agreement(answers: Tensor, predictions: Tensor) -> Tensor:
    """Return <s_k, p_i>, (B, n), for answers (B, n, C) and predictions (B, C)."""
    return (answers * predictions[:, None]).sum(dim=2)


NRC = Recipe.model_validate(
    {
        "summary": "each prediction agrees with those of reciprocal neighbours and of their neighbours",
        "paper": PAPER,
        "aligners": {"reciprocal-neighbors": 1.0, "diversity": 1.0},
        "train": "backbone+bottleneck+classifier",
        "bank_view": "augmented",
    }
)
