"""Aligner ``ti-mmd``: maximum mean discrepancy between the features of both halves of TI pairs.

Source: Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A Kernel Two-Sample Test", JMLR 13, 2012
(https://jmlr.org/papers/v13/gretton12a.html).

The term is ``mmd_loss`` of x_i, the bottleneck features of the frozen source network on the source halves, and y_i,
those of the adapting network on the target halves.

Defaults: f = 0.25, 0.5, 1, 2, 4 (ours), ``biased``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import torch

from sfda_kit import Aligner, UserError, check_shapes, without_autocast
from sfda_kit_alignment.samples import require_two_rows

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

Estimator = Literal["biased", "unbiased"]
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


class TiMmd(Aligner):
    """``mmd_loss`` of the halves of TI pairs. Options: ``estimator``, and ``bandwidths``, the factors f_m."""

    def __init__(self, estimator: Estimator = "biased", bandwidths: Sequence[float] = FACTORS) -> None:
        _check_options(estimator, bandwidths, "ti-mmd")
        self.estimator: Estimator = estimator
        self.bandwidths = tuple(bandwidths)

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [0, 2] (``biased``) or [-2, 2]; gradients reach the adapting network only."""
        return mmd_loss(signals.ti_source_features, signals.ti_target_features, self.estimator, self.bandwidths)


def _check_options(estimator: Estimator, bandwidths: Sequence[float], name: str) -> None:
    if estimator not in get_args(Estimator):
        raise UserError(f"{name}: estimator is {estimator!r}, expected one of {', '.join(get_args(Estimator))}.")
    if not _positive_numbers(bandwidths):
        raise UserError(
            f"{name}: bandwidths is {bandwidths!r}, expected multiples of the median squared distance, each "
            "greater than 0 (--set recipe.aligners.ti-mmd.options.bandwidths=[0.5,1,2])."
        )


def _positive_numbers(values: object) -> bool:
    if not isinstance(values, (list, tuple)) or not values:
        return False
    return all(isinstance(value, (int, float)) and value > 0 for value in values)


def mmd_loss(
    source_features: Tensor,
    target_features: Tensor,
    estimator: Estimator = "biased",
    bandwidths: Sequence[float] = FACTORS,
) -> Tensor:
    """Return MMD^2, 0-d, of two samples (n, D) of the same size; in [0, 2] (``biased``) or [-2, 2] (``unbiased``).

    The estimators of MMD^2 of the samples x and y:

    * ``biased`` (equation 5): mean_ij [k(x_i, x_j) + k(y_i, y_j) - 2 k(x_i, y_j)]; >= 0, and 0 for equal samples;
    * ``unbiased`` (equation 4): the same sum over i != j, divided by n (n - 1). For equal distributions it is 0 in
      expectation, so below 0 in some batches. It leaves out k(x_i, y_i) too, so it does not use which rows belong
      together.

    The kernel is the mean of Gaussians, k(u, v) = mean_m exp(-||u - v||^2 / (2 f_m s)), with the factors f_m of
    ``bandwidths``. s is the median of ||u - v||^2 over all pairs of different points of both samples (the median rule
    of section 8, for the squared distance), without gradient. So the scale of the features does not matter.

    It is computed in full precision, and no gradient reaches the source. Raises ``UserError`` for other shapes, less
    than two rows, another estimator and bandwidths that are not greater than 0. Source: Gretton et al., JMLR 13, 2012
    (https://jmlr.org/papers/v13/gretton12a.html).
    """
    check_shapes("mmd_loss", source_features=(source_features, "n D"), target_features=(target_features, "n D"))
    require_two_rows(source_features, target_features, "mmd_loss", "ti-mmd")
    _check_options(estimator, bandwidths, "mmd_loss")
    with without_autocast(target_features.device):
        return _mmd(source_features.detach(), target_features, estimator, bandwidths)


def _mmd(x: Tensor, y: Tensor, estimator: Estimator, bandwidths: Sequence[float]) -> Tensor:
    count = len(x)
    kernel = gaussians(squared_distances(torch.cat([x, y])), bandwidths)
    across = kernel[:count, count:]
    terms = kernel[:count, :count] + kernel[count:, count:] - across - across.T
    if estimator == "biased":
        return terms.mean()
    return (terms.sum() - terms.diagonal().sum()) / (count * (count - 1))


def squared_distances(points: Tensor) -> Tensor:
    """Return ||u - v||^2 of all points (N, D), (N, N), exactly 0 on the diagonal."""
    centred = points - points.mean(dim=0)  # distances stay the same, with smaller rounding errors
    products = centred @ centred.T
    squares = products.diagonal()
    return (squares[:, None] + squares[None] - 2 * products).clamp_min(0)


def gaussians(distances: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """Return the mean of Gaussian kernels of squared distances (N, N); their median, without gradient, sets widths."""
    rows, columns = torch.triu_indices(len(distances), len(distances), offset=1, device=distances.device)
    median = distances.detach()[rows, columns].median().clamp_min(torch.finfo(distances.dtype).tiny)
    return torch.stack([(distances / (-2 * factor * median)).exp() for factor in bandwidths]).mean(dim=0)
