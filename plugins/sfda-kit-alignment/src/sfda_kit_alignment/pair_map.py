"""pair-map: a linear map from target features to source features, fitted on TI pairs in closed form.

Ours, and a base line: it trains nothing and takes one pass over target images and pairs. The formulas stand in
``feature_map.py``, the choice of form and ridge in ``map_choice.py``. The map is affine and stands before the
classifier, so it becomes a part of the network's last layers: what is saved, exported and used is an ordinary network.

``prior``: each probability p_k is divided by the square root of its mean over the target training images, as logit
adjustment does (Menon et al., ICLR 2021, https://arxiv.org/abs/2007.07314, with half its strength).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from sfda_kit import AdaptedModel, EpochState, Event, Method, NetworkOutput, Recipe, UserError, did_you_mean, fill_bank
from sfda_kit_alignment.feature_map import FORMS, PairFeatures, exact, fold_in, source_moments
from sfda_kit_alignment.map_choice import RIDGES, MapChoice, choose

if TYPE_CHECKING:
    from sfda_kit import AdaptationContext, FeatureBank, ImageView, Network, PairView

CHOSEN = "auto"


class PairMap(Method):
    """pair-map translates features by a linear map (module docstring).

    ``form``: ``identity``, ``residual``, ``plain`` or ``auto``, which chooses on left-out groups of pairs.
    ``ridge``: the strength for each pair, where each dimension of the input has the variance 1; None chooses it too.
    ``folds``: how many parts the groups make. ``prior``: whether frequent predictions lose weight.
    """

    recipe: ClassVar[Recipe] = Recipe(summary="a linear map of features, fitted on TI pairs in closed form")

    def __init__(self, form: str = CHOSEN, ridge: float | None = None, folds: int = 10, prior: bool = False) -> None:
        if form not in (CHOSEN, *FORMS):
            raise UserError(f"pair-map: there is no form {form!r}. {did_you_mean(form, (CHOSEN, *FORMS))}")
        if ridge is not None and not ridge > 0:
            raise UserError(f"pair-map: ridge is {ridge!r}, expected a number above 0, or null to choose it.")
        if folds < 2:
            raise UserError(f"pair-map: folds is {folds!r}, expected 2 or more.")
        self.forms = FORMS if form == CHOSEN else (form,)
        self.ridges = RIDGES if ridge is None else (float(ridge),)
        self.folds, self.prior = folds, prior

    def check(self, network: Network) -> None:
        """Raise ``UserError`` where several source models have a classifier each."""
        if not isinstance(network.classifier, nn.Linear):
            raise UserError(
                "pair-map changes the last layers of one network, and several source models have their own each. "
                "Give a single --source-card, or use the method socket."
            )

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield one state; nothing is kept to resume, because there is only one pass."""
        if context.pairs is None:
            raise UserError(
                "pair-map learns from TI pairs and the task has none. Name TI classes (--ti-classes A,B), give a "
                "folder of pairs (--ti-dir), or choose a method that needs none (adabn, shot)."
            )
        model = AdaptedModel(context.input_bridge, context.network)
        features = _features(context, model, context.pairs)
        known = context.pairs.groups
        groups = range(len(context.pairs)) if known is None else known
        classify = plain_classifier(context.network)
        chosen = choose(features, classify, groups, self.forms, self.ridges, self.folds)
        if chosen.form != "identity":
            fold_in(context.network, features.maps(chosen.form, (chosen.ridge,), torch.arange(len(groups)))[0])
            if self.prior:
                correct_prior(context.network, _bank(context, model, context.target).probabilities)
        _tell(context, chosen, "groups" if known is not None else "pairs (their groups are not known)")
        figures = {f"correlation_{form}": score for form, score in chosen.scores.items()}
        bank = _bank(context, model, context.target)
        yield EpochState("pair-map", 1, 1, model, bank, {**figures, "ridge": chosen.ridge})


class _Stages(nn.Module):
    """What the map is made from: backbone features in the place of features, and bottleneck features behind them."""

    def __init__(self, model: AdaptedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> NetworkOutput:
        pooled = self.model.network.backbone(self.model.input_bridge(images))
        return NetworkOutput(pooled, self.model.network.bottleneck(pooled))


def _features(context: AdaptationContext, model: AdaptedModel, pairs: PairView) -> PairFeatures:
    stages = _Stages(model)
    target, halves = (_bank(context, stages, view) for view in (context.target, pairs.target))
    wanted = exact(_bank(context, context.source_network, pairs.source).features)
    return PairFeatures(
        inputs=exact(halves.features),
        own=exact(halves.logits),
        wanted=wanted,
        target_inputs=exact(target.features),
        target_own=exact(target.logits),
        source=source_moments(context.source_network, wanted),
    )


def _bank(context: AdaptationContext, model: nn.Module, view: ImageView) -> FeatureBank:
    return fill_bank(model, view, context.config.evaluation_batch_size, context.autocast)


def plain_classifier(network: Network) -> nn.Linear:
    """Return a copy of the classifier without gradients, for features in float64 on the CPU."""
    layer = _classifier(network)
    plain = nn.Linear(layer.in_features, layer.out_features, dtype=torch.float64).requires_grad_(False)
    plain.load_state_dict({"weight": exact(layer.weight), "bias": exact(layer.bias)})
    return plain


@torch.no_grad()
def correct_prior(network: Network, probabilities: Tensor) -> None:
    """Divide each probability by the root of its mean over ``probabilities`` (N, K), in the classifier's bias."""
    _classifier(network).bias.sub_(probabilities.mean(dim=0).clamp_min(1e-12).log() / 2)


def _classifier(network: Network) -> nn.Linear:
    assert isinstance(network.classifier, nn.Linear), "check() has refused several classifiers"
    return network.classifier


def _tell(context: AdaptationContext, chosen: MapChoice, left_out: str) -> None:
    """Say which form it is, and why: nobody should take the source model's own answers for translated ones."""
    scores = ", ".join(f"{form} {score:.3f}" for form, score in chosen.scores.items())
    why = f"correlation on left-out {left_out}: {scores}" if scores else f"there was no choice, or too few {left_out}"
    ridge = "" if chosen.form == "identity" else f" with ridge {chosen.ridge:g}"
    context.listener(Event("notice", "pair-map", {"text": f"pair-map takes the form {chosen.form}{ridge}: {why}"}))
