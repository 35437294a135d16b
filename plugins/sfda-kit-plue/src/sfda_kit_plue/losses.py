"""The formulas of PLUE (``plue.py``), each in one function."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit import entropy


def neighbour_vote(features: Tensor, others: Tensor, answers: Tensor, count: int) -> Tensor:
    """Return v (B, C), the mean softmax of the ``count`` images whose features are nearest to each of ``features``.

    ``features`` (B, D) and ``others`` (M, D) may have any length, because cosines are compared; ``answers`` (M, C).
    """
    similarity = F.normalize(features, dim=1) @ F.normalize(others, dim=1).T
    return answers[similarity.topk(count, dim=1).indices].mean(dim=1)


def certainty(vote: Tensor) -> Tensor:
    """Return w = exp(-H / log C), (B,), for votes (B, C): 1 where one class is certain, 1/e where all are equal."""
    return (-entropy(vote, epsilon=1e-5) / math.log(vote.shape[1])).exp()


def draw_offsets(count: int, classes: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` numbers from 1 to ``classes`` - 1, all of them equally likely, int64 (count,)."""
    return torch.randint(1, classes, (count,), generator=generator)


def negative_classes(labels: Tensor, offsets: Tensor, classes: int) -> Tensor:
    """Return the class that lies ``offsets`` (B,) after each label (B,), int64 (B,); after the last comes the first."""
    return (labels + offsets) % classes


def negative_learning(logits: Tensor, wrong: Tensor, weights: Tensor) -> Tensor:
    """Return - mean_i w_i log(clamp(1 - p_i,c_i, 1e-5, 1)), 0-d, for logits (B, C), ``wrong`` c and weights w (B,)."""
    certain = logits.softmax(dim=1).gather(1, wrong[:, None])[:, 0]
    return -(weights * (1 - certain).clamp(1e-5, 1).log()).mean()


def contrastive(queries: Tensor, keys: Tensor, queue: Tensor, is_negative: Tensor, temperature: float) -> Tensor:
    """Return L_ctr, 0-d, for unit queries and keys (B, D), the queue (Q, D), and who is a negative, bool (B, Q)."""
    positive = (queries * keys).sum(dim=1, keepdim=True)
    others = (queries @ queue.T).masked_fill(~is_negative, -torch.inf)
    return -(torch.cat([positive, others], dim=1) / temperature).log_softmax(dim=1)[:, 0].mean()


def concentration(logits: Tensor) -> Tensor:
    """Return sum_c q_c log(q_c + 1e-8), 0-d, with q the mean softmax of logits (B, C): least where all are equal."""
    return -entropy(logits.softmax(dim=1).mean(dim=0), epsilon=1e-8)
