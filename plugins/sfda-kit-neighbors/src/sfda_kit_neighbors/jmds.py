"""The JMDS score: pseudo-labels from the data's own clusters, each with a confidence.

Paper: Lee, Jung, Yim, Yoon, "Confidence Score for Source-Free Unsupervised Domain Adaptation", ICML 2022,
https://arxiv.org/abs/2206.06640

Equations (section 3; our notation). f_i is the bottleneck feature of unit length, p_i the softmax. A Gaussian mixture
with one component per class has its means, full covariances and mixing weights from memberships g, at first g = p:

    mu_c = sum_i g_ic f_i / sum_i g_ic,   Sigma_c = sum_i g_ic (f_i - mu_c)(f_i - mu_c)^T / sum_i g_ic + ridge I
    q_ic = log p(c | f_i) under that mixture,   y_i = argmax_c q_ic
    LPG_i  = gap_i / max_j gap_j,   gap_i = min_{c != y_i} (q_i,y_i - q_ic)      (log-probability gap)
    MPPL_i = p_i,y_i                                      (the model's probability of the pseudo-label)
    JMDS_i = LPG_i MPPL_i, in [0, 1]

Deviations: ``rounds`` is 2 by default [ours, as SHOT's centroids]: the mixture is fitted a second time with its own
posterior as memberships. ``ridge`` is 1e-6 [ours]: most classes have fewer features than dimensions, so a full
covariance has no inverse without it. All is computed in double precision, for the same reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from sfda_kit import PseudoLabeler, PseudoLabels, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank


class Jmds(PseudoLabeler):
    """The most likely component of the mixture, weighted by JMDS. Options ``rounds`` of fit (2), ``ridge`` (1e-6)."""

    def __init__(self, rounds: int = 2, ridge: float = 1e-6) -> None:
        if rounds < 1 or not ridge > 0:
            raise UserError(
                f"jmds: got rounds={rounds!r}, ridge={ridge!r}; expected rounds of at least 1 and a ridge above 0."
            )
        self.rounds = rounds
        self.ridge = ridge

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return labels of all N images with weights in [0, 1]; all are 0 where no image is nearer to one class."""
        device = bank.features.device
        exact = torch.device("cpu") if device.type == "mps" else device  # mps has no double precision
        features = F.normalize(bank.features.to(exact).double(), dim=1)
        model = bank.probabilities.to(exact).double()
        membership = model
        for _ in range(self.rounds):
            posterior = log_posterior(features, membership, self.ridge)
            membership = posterior.exp()
        labels = posterior.argmax(dim=1)
        weights = relative_gap(posterior) * model.gather(1, labels[:, None])[:, 0]
        return PseudoLabels(labels.to(device), weights.float().to(device))


def log_posterior(features: Tensor, membership: Tensor, ridge: float) -> Tensor:
    """Return log p(c | f_i), (N, K), of a Gaussian mixture fitted to features (N, D) with memberships (N, K)."""
    mass = membership.sum(dim=0).clamp_min(torch.finfo(membership.dtype).tiny)
    joint = [
        _log_density(features, membership[:, c] / mass[c], ridge) + mass[c].log() for c in range(membership.shape[1])
    ]
    return torch.stack(joint, dim=1).log_softmax(dim=1)


def _log_density(features: Tensor, weights: Tensor, ridge: float) -> Tensor:
    """Return log N(f_i | mu, Sigma), (N,), without the constant that all classes share."""
    centred = features - weights @ features
    covariance = (centred * weights[:, None]).T @ centred
    covariance.diagonal().add_(ridge)
    factor = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(factor, centred.T, upper=False)
    density: Tensor = -0.5 * whitened.square().sum(dim=0) - factor.diagonal().log().sum()
    return density


def relative_gap(posterior: Tensor) -> Tensor:
    """Return LPG (N,) from log posteriors (N, K): the lead of the first class over the second; the largest is 1."""
    if posterior.shape[1] == 1:
        return torch.ones_like(posterior[:, 0])
    first, second = posterior.topk(2, dim=1).values.unbind(dim=1)
    gap = first - second
    return gap / gap.max().clamp_min(torch.finfo(gap.dtype).tiny)
