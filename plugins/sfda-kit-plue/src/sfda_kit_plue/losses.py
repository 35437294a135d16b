"""The formulas of PLUE (``plue.py``), each in one function."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit import entropy


def neighbour_vote(similarity: Tensor, answers: Tensor, count: int) -> Tensor:
    """Return p^ (B, C), mean softmax of the ``count`` most similar images, by similarities (B, M), softmax (M, C)."""
    return answers[similarity.topk(count, dim=1).indices].mean(dim=1)


def certainty(vote: Tensor) -> Tensor:
    """Return w = exp(-H / log C), (B,), for votes (B, C): 1 where one class is certain, 1/e where all are equal."""
    return (-entropy(vote, epsilon=torch.finfo(vote.dtype).tiny) / math.log(vote.shape[1])).exp()


def complementary(labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Draw for each image a class other than its label, all of them equally likely, int64 (B,)."""
    drawn = torch.randint(classes - 1, (len(labels),), generator=generator).to(labels.device)
    return drawn + (drawn >= labels)


def negative_learning(logits: Tensor, wrong: Tensor, weights: Tensor) -> Tensor:
    """Return - mean_i w_i log(1 - p_i,c_i), 0-d, for logits (B, C), classes ``wrong`` (B,) and weights (B,)."""
    # log(1 - p_c) is the log-softmax mass of the other classes: finite however sure the network is of c.
    others = logits.log_softmax(dim=1).masked_fill(F.one_hot(wrong, logits.shape[1]).bool(), -torch.inf)
    return -(weights * others.logsumexp(dim=1)).mean()


def contrastive(queries: Tensor, keys: Tensor, negatives: Tensor, left_out: Tensor, temperature: float) -> Tensor:
    """Return L_ctr, 0-d, for unit queries and keys (B, D), and negatives (M, D) less ``left_out``, bool (B, M)."""
    positive = (queries * keys).sum(dim=1, keepdim=True)
    others = (queries @ negatives.T).masked_fill(left_out, -torch.inf)
    return -(torch.cat([positive, others], dim=1) / temperature).log_softmax(dim=1)[:, 0].mean()
