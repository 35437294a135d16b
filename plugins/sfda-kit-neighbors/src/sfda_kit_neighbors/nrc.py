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

from sfda_kit import Aligner, Recipe, UserError, check_shapes, did_you_mean, entropy
from sfda_kit_neighbors.nearest import NeighbourSearch, check_count, nearest_rows, neighbour_search, positive_count

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2110.04202"
VARIANTS = ("reciprocal", "flat")
WEAK = 0.1
"""The affinity r of neighbours that are not reciprocal, and of neighbours' neighbours."""


class ReciprocalNeighbors(Aligner):
    """``nrc_loss`` with the memory of the run.

    Options: ``neighbors`` K (3), ``expanded`` M (2), ``variant`` (reciprocal), ``search`` (README).
    """

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(
        self, neighbors: int = 3, expanded: int = 2, variant: str = "reciprocal", search: str = "torch"
    ) -> None:
        self.neighbors = positive_count(neighbors, "reciprocal-neighbors: neighbors")
        self.expanded = positive_count(expanded, "reciprocal-neighbors: expanded")
        self.variant = _known_variant(variant, "reciprocal-neighbors")
        self.search = neighbour_search(search, "reciprocal-neighbors")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [-(K + r K M), 0]; gradients reach p_i alone."""
        memory = signals.memory.features, signals.memory.probabilities
        counts = self.neighbors, self.expanded
        return nrc_loss(signals.target_probabilities, signals.target_rows, *memory, *counts, self.variant, self.search)


def nrc_loss(
    probabilities: Tensor,
    rows: Tensor,
    memory_features: Tensor,
    memory_probabilities: Tensor,
    neighbors: int = 3,
    expanded: int = 2,
    variant: str = "reciprocal",
    search: NeighbourSearch = nearest_rows,
) -> Tensor:
    """Return L_N + L_E in [-(K + r K M), 0], 0-d, for the softmax outputs p (B, C) of a batch.

    The memory holds the last answers to all N images: unit ``memory_features`` (N, D) and softmax outputs s,
    ``memory_probabilities`` (N, C). ``rows``, int64 (B,), are those of the batch; write its answers to them first. N(i)
    are the ``neighbors`` K images nearest to i by cosine, without i, and E(k) the ``expanded`` M nearest to k. r = 0.1:

        L_E = - mean_i sum_{k in N(i)} sum_{m in E(k)} r <s_m, p_i>
        L_N = - mean_i sum_{k in N(i)} a_ik <s_k, p_i>,   a_ik = 1 if i is in E(k), else r

    With the ``variant`` "flat" every a_ik is r. Gradients reach p alone. Raises ``UserError`` for other shapes, another
    variant, and where there are not so many neighbours. Source: NRC, NeurIPS 2021 (https://arxiv.org/abs/2110.04202),
    section 3. The method adds ``diversity_loss``.
    """
    check_memory("nrc_loss", probabilities, rows, memory_features, memory_probabilities)
    rows = rows.to(memory_features.device)
    near, beyond = neighbourhood(memory_features, rows, neighbors, expanded, search)
    weights = affinity(beyond, rows, memory_probabilities.dtype, _known_variant(variant, "nrc_loss"))
    near_agreement = weights * agreement(memory_probabilities[near], probabilities)
    expanded_agreement = WEAK * agreement(memory_probabilities[beyond.flatten(1)], probabilities)
    return -(near_agreement.sum(dim=1) + expanded_agreement.sum(dim=1)).mean()


def neighbourhood(
    features: Tensor, rows: Tensor, neighbors: int, expanded: int, search: NeighbourSearch = nearest_rows
) -> tuple[Tensor, Tensor]:
    """Return N(i) (B, K) and E(k) (B, K, M) of the images ``rows`` (B,) among unit ``features`` (N, D)."""
    check_count(neighbors, len(features), "reciprocal-neighbors.options.neighbors")
    check_count(expanded, len(features), "reciprocal-neighbors.options.expanded")
    near = search(features[rows], features, neighbors, rows)
    beyond = search(features[near.flatten()], features, expanded, near.flatten())
    return near, beyond.view(*near.shape, expanded)


def affinity(beyond: Tensor, rows: Tensor, dtype: torch.dtype, variant: str) -> Tensor:
    """Return a_ik (B, K) from E(k) (B, K, M)."""
    values = torch.full(beyond.shape[:2], WEAK, dtype=dtype, device=beyond.device)
    if variant == "reciprocal":
        values[(beyond == rows[:, None, None]).any(dim=2)] = 1.0
    return values


def _known_variant(variant: str, name: str) -> str:
    if variant not in VARIANTS:
        raise UserError(f"{name}: there is no variant {variant!r}. {did_you_mean(variant, VARIANTS)}")
    return variant


class Diversity(Aligner):
    """``diversity_loss`` of the target batch."""

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in nats, from - log C to 0 (up to the epsilon of the entropy)."""
        return diversity_loss(signals.target_probabilities)


def diversity_loss(probabilities: Tensor) -> Tensor:
    """Return sum_c q_c log(q_c + 1e-5) in nats, 0-d, for q = mean_i p_i of softmax outputs p (B, C).

    It lies between - log C, where all classes are equally frequent, and 0 (up to the 1e-5). Raises ``UserError`` for
    another shape. Source: L_div of NRC, NeurIPS 2021 (https://arxiv.org/abs/2110.04202), section 3.
    """
    check_shapes("diversity_loss", probabilities=(probabilities, "B C"))
    return -entropy(probabilities.mean(dim=0))


def check_memory(function: str, probabilities: Tensor, rows: Tensor, features: Tensor, answers: Tensor) -> None:
    """Raise ``UserError`` unless batch and memory have the shapes that ``nrc_loss`` and ``attraction_loss`` take."""
    check_shapes(
        function,
        probabilities=(probabilities, "B C"),
        rows=(rows, "B"),
        memory_features=(features, "N D"),
        memory_probabilities=(answers, "N C"),
    )


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
