"""AaD: attracting and dispersing.

Paper: Yang, Wang, Wang, Jui, van de Weijer, "Attracting and Dispersing: A Simple Approach for Source-free Domain
Adaptation", NeurIPS 2022, https://arxiv.org/abs/2205.04183

Equation (section 3; our notation), as the authors' code computes it. The banks of unit features and softmax s are those
of NRC; p_i is the current softmax of image i of the batch, N(i) the K nearest features of i by cosine, without i:

    L = mean_i ( - sum_{k in N(i)} <p_i, s_k>  +  lambda sum_{m in batch, m != i} <p_i, p_m> )
    lambda = (1 + 10 t/T)^-beta,   t = 0..T-1 the steps done before this one, of T

No gradient flows into the bank; in the second sum it flows into both factors. The second sum is over the batch, not its
mean, so it grows with ``adapt.batch_size``. Backbone, bottleneck and classifier train.

Defaults: K = 3, beta = 0 (Office-Home). The presets have the values of each data set.

Deviations stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sfda_kit import Aligner, Recipe, UserError, check_shapes
from sfda_kit_neighbors.nearest import NeighbourSearch, check_count, nearest_rows, neighbour_search, positive_count
from sfda_kit_neighbors.nrc import agreement, check_memory

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2205.04183"


class Attraction(Aligner):
    """``attraction_loss`` with the memory of the run. Options ``neighbors`` K (3), ``search`` (README)."""

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(self, neighbors: int = 3, search: str = "torch") -> None:
        self.neighbors = positive_count(neighbors, "attraction: neighbors")
        self.search = neighbour_search(search, "attraction")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [-K, 0]; gradients reach p_i alone."""
        memory = signals.memory.features, signals.memory.probabilities
        rows = signals.target_rows
        return attraction_loss(signals.target_probabilities, rows, *memory, self.neighbors, self.search)


def attraction_loss(
    probabilities: Tensor,
    rows: Tensor,
    memory_features: Tensor,
    memory_probabilities: Tensor,
    neighbors: int = 3,
    search: NeighbourSearch = nearest_rows,
) -> Tensor:
    """Return - mean_i sum_{k in N(i)} <p_i, s_k> in [-K, 0], 0-d, for the softmax outputs p (B, C) of a batch.

    The memory holds the last answers to all N images: unit ``memory_features`` (N, D) and softmax outputs s,
    ``memory_probabilities`` (N, C). ``rows``, int64 (B,), are those of the batch; write its answers to them first. N(i)
    are the ``neighbors`` K images whose features are nearest to those of i by cosine, without i. Gradients reach p
    alone. Raises ``UserError`` for other shapes, and where there are not so many neighbours. Source: AaD, NeurIPS 2022
    (https://arxiv.org/abs/2205.04183), section 3. The method adds ``dispersion_loss``.
    """
    check_memory("attraction_loss", probabilities, rows, memory_features, memory_probabilities)
    check_count(neighbors, len(memory_features), "attraction.options.neighbors")
    rows = rows.to(memory_features.device)
    near = search(memory_features[rows], memory_features, neighbors, rows)
    return -agreement(memory_probabilities[near], probabilities).sum(dim=1).mean()


class Dispersion(Aligner):
    """``dispersion_loss`` of the target batch. Option ``decay`` beta (0)."""

    def __init__(self, decay: float = 0.0) -> None:
        self.decay = _positive_decay(decay, "dispersion")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [0, B - 1]."""
        return dispersion_loss(signals.target_probabilities, signals.progress, self.decay)


def dispersion_loss(probabilities: Tensor, progress: float = 0.0, decay: float = 0.0) -> Tensor:
    """Return lambda mean_i sum_{m != i} <p_i, p_m> in [0, B - 1], 0-d, for the softmax outputs p (B, C) of a batch.

    lambda = (1 + 10 ``progress``)^-``decay``, where ``progress`` in [0, 1] is the share of the training's steps done.
    Gradients flow into both factors. Raises ``UserError`` for another shape and a ``decay`` below 0. Source: AaD,
    NeurIPS 2022 (https://arxiv.org/abs/2205.04183), section 3.
    """
    check_shapes("dispersion_loss", probabilities=(probabilities, "B C"))
    weight: float = (1.0 + 10.0 * progress) ** -_positive_decay(decay, "dispersion_loss")
    # The sum over all pairs without the B x B table: |sum_i p_i|^2 less each image with itself.
    pairs = probabilities.sum(dim=0).square().sum() - probabilities.square().sum()
    return weight * pairs / len(probabilities)


def _positive_decay(decay: float, name: str) -> float:
    if decay < 0:
        raise UserError(f"{name}: decay is {decay}, expected 0 (a constant weight) or more.")
    return decay


AAD = Recipe.model_validate(
    {
        "summary": "predictions attract those of nearest neighbours and disperse within the batch",
        "paper": PAPER,
        "aligners": {"attraction": 1.0, "dispersion": 1.0},
        "train": "backbone+bottleneck+classifier",
        "bank_view": "augmented",
    }
)
