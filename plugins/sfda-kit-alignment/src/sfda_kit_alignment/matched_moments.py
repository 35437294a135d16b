"""Methods that bring the moments of target features to those of the source in closed form: standardise and coral.

f (D): bottleneck features of a target image (pooled features where there is no bottleneck); m_t, s_t, C_t: their mean,
deviations and covariance over all unlabelled target images; m_s, s_s: those of the source, which the bottleneck's
BatchNorm stores (without one: those of the source halves of TI pairs); C_s: covariance over the source halves.

    standardise   z = (f - m_t) / s_t * s_s + m_s
    coral         z = (f - m_t) (C_t + l I)^(-1/2) (C_s + l I)^(1/2) + m_s

Sun, Feng, Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016 (https://arxiv.org/abs/1511.05547),
algorithm 1, brings source features to the target in this way, with l = 1, and then trains a classifier. Here the source
and its labels are gone and the classifier stays, so target features go to the source. Neither reads which halves of
pairs belong together. Deviations stand in the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from sfda_kit import AdaptedModel, EpochState, Method, Recipe, UserError, fill_bank
from sfda_kit_alignment.coral import covariance
from sfda_kit_alignment.feature_map import FeatureMap, Moments, exact, fold_in, fold_in_features, source_moments

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, FeatureBank, ImageView, Network


class Standardise(Method):
    """standardise gives target features mean and deviation of the source, dimension by dimension (module docstring)."""

    recipe: ClassVar[Recipe] = Recipe(summary="mean and deviation of the features from the target to the source")

    def check(self, network: Network) -> None:
        """Raise ``UserError`` where several source models have a classifier each."""
        _require_one_classifier(network, "standardise")

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state; nothing is kept to resume, because there is only one pass."""
        model = AdaptedModel(context.input_bridge, context.network)
        own = Moments.of(exact(_bank(context, model, context.target).features))
        source = source_moments(context.source_network, _source_halves(context, "standardise"))
        factor = source.deviation / own.deviation
        nothing = factor.new_zeros(_pooled_width(context.network), len(factor))
        fold_in(context.network, FeatureMap(factor, nothing, source.mean - own.mean * factor))
        yield EpochState("standardise", 1, 1, model, _bank(context, model, context.target))


class Coral(Method):
    """coral gives target features the covariance of the source (module docstring). ``ridge``: l, above 0."""

    recipe: ClassVar[Recipe] = Recipe(
        summary="covariance of the features from the target to the source", paper="https://arxiv.org/abs/1511.05547"
    )

    def __init__(self, ridge: float = 1.0) -> None:
        if not ridge > 0:
            raise UserError(f"coral: ridge is {ridge!r}, expected a number above 0.")
        self.ridge = float(ridge)

    def check(self, network: Network) -> None:
        """Raise ``UserError`` where several source models have a classifier each."""
        _require_one_classifier(network, "coral")

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state; nothing is kept to resume, because there is only one pass."""
        _require_pairs(context, "coral")
        model = AdaptedModel(context.input_bridge, context.network)
        own = exact(_bank(context, model, context.target).features)
        wanted = _source_halves(context, "coral")
        matrix = recolouring(covariance(own), covariance(wanted), self.ridge)
        shift = source_moments(context.source_network, wanted).mean - own.mean(dim=0) @ matrix
        fold_in_features(context.network, matrix, shift)
        yield EpochState("coral", 1, 1, model, _bank(context, model, context.target))


def recolouring(own: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Return (own + ridge I)^(-1/2) (wanted + ridge I)^(1/2) for covariances (D, D), float64."""
    return _power(own, -0.5, ridge) @ _power(wanted, 0.5, ridge)


def _power(symmetric: Tensor, exponent: float, ridge: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    raised: Tensor = (vectors * (values.clamp_min(0) + ridge).pow(exponent)) @ vectors.T
    return raised


def _source_halves(context: AdaptationContext, method: str) -> Tensor:
    """Return source features (n, D) of the pairs; an empty table where no method needs them, as there are no pairs."""
    if context.pairs is None:
        if not isinstance(context.source_network.bottleneck, nn.Sequential):
            _require_pairs(context, method)
        return torch.zeros(0, context.source_network.feature_width, dtype=torch.float64)
    return exact(_bank(context, context.source_network, context.pairs.source).features)


def _require_pairs(context: AdaptationContext, method: str) -> None:
    if context.pairs is None:
        raise UserError(
            f"{method} takes the moments of the source from TI pairs and the task has none. Name TI classes "
            "(--ti-classes A,B), give a folder of pairs (--ti-dir), or choose a method that needs none (adabn, shot)."
        )


def _require_one_classifier(network: Network, method: str) -> None:
    if not isinstance(network.classifier, nn.Linear):
        raise UserError(
            f"{method} changes the last layers of one network, and several source models have their own each. "
            "Give a single --source-card, or use the method socket."
        )


def _pooled_width(network: Network) -> int:
    first = network.bottleneck[0] if isinstance(network.bottleneck, nn.Sequential) else network.classifier
    return int(first.in_features)  # type: ignore[arg-type]


def _bank(context: AdaptationContext, model: nn.Module, view: ImageView) -> FeatureBank:
    return fill_bank(model, view, context.config.evaluation_batch_size, context.autocast)
