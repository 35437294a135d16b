"""Entropy and information maximisation, shared by aligners, bridges and validators."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-5
"""Added inside the logarithm, as SHOT does."""


def entropy(probabilities: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Entropy in nats over the last dimension: (..., K) -> (...)."""
    return -(probabilities * (probabilities + epsilon).log()).sum(dim=-1)


def information_maximisation(probabilities: Tensor, diversity: float = 1.0, epsilon: float = EPSILON) -> Tensor:
    """mean_i H(p_i) - diversity * H(mean_i p_i), a 0-d tensor, for softmax outputs (B, K).

    Source: Liang et al., "Do We Really Need to Access the Source Data?", ICML 2020
    (https://arxiv.org/abs/2002.08546), equation 4.
    """
    spread = entropy(probabilities.mean(dim=0), epsilon)
    return entropy(probabilities, epsilon).mean() - diversity * spread
