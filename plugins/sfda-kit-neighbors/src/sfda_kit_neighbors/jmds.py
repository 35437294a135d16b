"""The JMDS score: pseudo-labels from the data's own clusters, each with a confidence.

Paper: Lee, Jung, Yim, Yoon, "Confidence Score for Source-Free Unsupervised Domain Adaptation", ICML 2022,
https://arxiv.org/abs/2206.06640

Equations (section 3; our notation), as the authors' code computes them. u_i is the bottleneck feature of unit length,
p_i the softmax. A Gaussian mixture with one component for each class is fitted twice. The memberships g are p in the
first round and the posterior of the first mixture in the second; the weights h of images in the covariances are equal
in the first round and g in the second:

    mass_c = sum_i g_ic,   mu_c = sum_i g_ic u_i / mass_c
    Cov_c  = sum_i h_ic (u_i - mu_c)(u_i - mu_c)^T / sum_i h_ic + 1e-6 I
    q_ic   = log N(u_i | mu_c, Cov_c) + log mass_c, less its logsumexp over c        (log posterior)

    y_i    = argmax_c q_ic                                                           (of the second round)
    LPG_i  = gap_i / max_j gap_j,   gap_i = min_{c != y_i} (q_i,y_i - q_ic)          (log-probability gap)
    MPPL_i = p_i,y_i                                                                 (probability of the pseudo-label)
    JMDS_i = LPG_i MPPL_i, in [0, 1]

Where a covariance has no Cholesky factor, 1e-4 I is added and it is tried again. Deviations stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from sfda_kit import PseudoLabeler, PseudoLabels, by_row_blocks, check_shapes, sum_over_row_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import FeatureBank

RIDGE = 1e-6
"""What is added to the diagonal of every covariance: many classes have fewer images than there are features."""

SECOND_RIDGE = 1e-4
"""What is added to the diagonal of a covariance that has no Cholesky factor."""


class GaussianMixture(NamedTuple):
    """A Gaussian mixture holds ``mass`` (K,), ``means`` (K, D) and ``covariances`` (K, D, D) of K components."""

    mass: Tensor
    means: Tensor
    covariances: Tensor


class Jmds(PseudoLabeler):
    """``jmds_labels`` of the bank. There is no option."""

    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return labels of all N images with weights in [0, 1]; all are 0 where no image is nearer to one class."""
        return PseudoLabels(*jmds_labels(bank.features, bank.logits))


def jmds_labels(features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels, int64 (N,), and weights (N,) in [0, 1] of N images with features (N, D) and logits (N, K).

    A Gaussian mixture with one component for each class is fitted twice to the features of unit length (module
    docstring); q_ic is its log posterior. With the softmax p,

        y_i = argmax_c q_ic,   gap_i = min_{c != y_i} (q_i,y_i - q_ic),   weight_i = p_i,y_i gap_i / max_j gap_j

    All weights are 0 where no image is nearer to one class. The mixture is fitted in double precision. Raises
    ``UserError`` for other shapes. Source: CoWA-JMDS, ICML 2022 (https://arxiv.org/abs/2206.06640), section 3.
    """
    check_shapes("jmds_labels", features=(features, "N D"), logits=(logits, "N K"))
    device = features.device
    if device.type == "mps":  # which has no double precision
        features, logits = features.cpu(), logits.cpu()
    model = by_row_blocks(lambda rows: rows.double().softmax(dim=1), logits)
    _, posterior = fitted_twice(features, model)
    labels = posterior.argmax(dim=1)
    scores = relative_gap(posterior) * model.gather(1, labels[:, None])[:, 0]
    return labels.to(device), scores.to(device, logits.dtype)


def _unit(features: Tensor) -> Tensor:
    """Return u_i, (B, D), in double precision. They are made where they are needed, so all N are never in memory."""
    return F.normalize(features.double(), dim=1)


def fitted_twice(features: Tensor, model: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log posteriors (N, K) of both rounds for ``features`` (N, D) and the softmax ``model`` (N, K)."""
    equal = model.new_ones(()).expand_as(model)
    first = log_posterior(features, fit(features, model, equal))
    memberships = by_row_blocks(torch.exp, first)
    second = log_posterior(features, fit(features, memberships, memberships))
    return first, second


def fit(features: Tensor, membership: Tensor, spread: Tensor) -> GaussianMixture:
    """Return the mixture of the u_i of features (N, D), with memberships g (N, K) and weights h (N, K) in covariances.

    A class that nobody belongs to keeps the least mass that the precision has, at the origin.
    """
    images = len(features)
    mass = membership.sum(dim=0).clamp_min(torch.finfo(membership.dtype).tiny)
    means = sum_over_row_blocks(lambda rows: (membership[rows] / mass).T @ _unit(features[rows]), images)
    whole = spread.sum(dim=0).clamp_min(torch.finfo(spread.dtype).tiny)
    covariances = sum_over_row_blocks(lambda rows: _spread(_unit(features[rows]), means, spread[rows] / whole), images)
    covariances.diagonal(dim1=1, dim2=2).add_(RIDGE)
    return GaussianMixture(mass, means, covariances)


def _spread(points: Tensor, means: Tensor, shares: Tensor) -> Tensor:
    """Return sum_i share_ic (u_i - mu_c)(u_i - mu_c)^T, (K, D, D), over points (B, D) with shares (B, K)."""
    found = [
        ((centred := points - mean) * share[:, None]).T @ centred for mean, share in zip(means, shares.T, strict=True)
    ]
    return torch.stack(found)


def log_posterior(features: Tensor, mixture: GaussianMixture) -> Tensor:
    """Return log p(c | u_i), (N, K), of features (N, D)."""

    def of(rows: Tensor) -> Tensor:
        points = _unit(rows)
        joint = [
            log_density(points - mean, covariance) + mass.log() for mass, mean, covariance in zip(*mixture, strict=True)
        ]
        return torch.stack(joint, dim=1).log_softmax(dim=1)

    return by_row_blocks(of, features)


def log_density(centred: Tensor, covariance: Tensor) -> Tensor:
    """Return log N(u_i | mu, Cov), (N,), of u_i - mu (N, D), without the constant that all classes share."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        factor = torch.linalg.cholesky(covariance + SECOND_RIDGE * torch.eye(len(covariance)).to(covariance))
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
