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

from sfda_kit import Aligner, Recipe, UserError
from sfda_kit_neighbors.nearest import check_count, neighbour_search, positive_count
from sfda_kit_neighbors.nrc import agreement

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2205.04183"


class Attraction(Aligner):
    """- mean_i sum_{k in N(i)} <p_i, s_k> (module docstring). Options ``neighbors`` K (3), ``search`` (README)."""

    reads: ClassVar[tuple[str, ...]] = ("memory",)

    def __init__(self, neighbors: int = 3, search: str = "torch") -> None:
        self.neighbors = positive_count(neighbors, "attraction: neighbors")
        self.search = neighbour_search(search, "attraction")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [-K, 0]; gradients reach p_i alone."""
        memory = signals.memory
        check_count(self.neighbors, len(memory.features), "attraction.options.neighbors")
        rows = signals.target_rows.to(memory.features.device)
        near = self.search(memory.features[rows], memory.features, self.neighbors, rows)
        return -agreement(memory.probabilities[near], signals.target_probabilities).sum(dim=1).mean()


class Dispersion(Aligner):
    """lambda mean_i sum_{m != i} <p_i, p_m> over the batch (module docstring). Option ``decay`` beta (0)."""

    def __init__(self, decay: float = 0.0) -> None:
        if decay < 0:
            raise UserError(f"dispersion: decay is {decay}, expected 0 (a constant weight) or more.")
        self.decay = decay

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [0, B - 1]."""
        predictions = signals.target_probabilities
        weight: float = (1.0 + 10.0 * signals.progress) ** -self.decay
        # The sum over all pairs without the B x B table: |sum_i p_i|^2 less each image with itself.
        pairs = predictions.sum(dim=0).square().sum() - predictions.square().sum()
        return weight * pairs / len(predictions)


AAD = Recipe.model_validate(
    {
        "summary": "predictions attract those of nearest neighbours and disperse within the batch",
        "paper": PAPER,
        "aligners": {"attraction": 1.0, "dispersion": 1.0},
        "train": "backbone+bottleneck+classifier",
        "bank_view": "augmented",
    }
)
