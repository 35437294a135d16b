"""Methods with a loop of their own, recipes and validators that break their contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from sfda_kit import (
    AdaptationContext,
    AdaptedModel,
    BridgeConfig,
    EpochState,
    FeatureBank,
    Method,
    Recipe,
    UserError,
    fill_bank,
)
from sfda_kit.builtin.validators import PairAgreement
from sfda_kit.interfaces.validator import Validator
from sfda_kit.testing import MethodConformance, RecipeConformance, ValidatorConformance

from .broken import broken


class Kept(Method):
    """Moves the classifier's bias once a call and remembers nothing."""

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        model = AdaptedModel(context.input_bridge, context.network)
        for epoch in (1, 2):
            self.step(context, epoch)
            yield EpochState("kept", epoch, 2, model, self.bank(model, context))

    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.network.classifier.bias.data.add_(0.1)  # type: ignore[union-attr, operator]

    def bank(self, model: AdaptedModel, context: AdaptationContext) -> FeatureBank:
        return fill_bank(model, context.target)


class Nothing(Kept):
    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        yield from ()


class ShortBank(Kept):
    def bank(self, model: AdaptedModel, context: AdaptationContext) -> FeatureBank:
        bank = fill_bank(model, context.target)
        return FeatureBank(bank.features[1:], bank.logits[1:])


class TouchesTheSource(Kept):
    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.source_network.classifier.bias.data.add_(1)  # type: ignore[union-attr, operator]


class DrawsGlobally(Kept):
    def step(self, context: AdaptationContext, epoch: int) -> None:
        context.network.classifier.bias.data.add_(torch.rand(()))  # type: ignore[union-attr, operator]


class LosesItsEpochs(Kept):
    """Continues with the epochs that are left, from the weights it began with."""

    def step(self, context: AdaptationContext, epoch: int) -> None:
        mark = context.checkpoint_dir / "done"
        if not mark.exists():
            super().step(context, epoch)
        if epoch == 2:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


class WantsNoBatchNorm(Kept):
    def check(self, network: nn.Module) -> None:
        raise UserError("the network has batch normalisation")


class ScoresInTensors(Validator):
    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> Any:
        return bank.logits.mean()


class LooksAtTheFirst(Validator):
    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        return float(bank.logits[0, 0])


class DividesBySpread(Validator):
    """Its score is x / 0 where all features are equal, and NaN for a single image."""

    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        return float(bank.logits.mean() / bank.features.std(dim=0).mean())


class Recipes:
    """Recipes of one fault each."""

    untold = Recipe()
    wrong_term = Recipe(summary="-", input_bridge=BridgeConfig(name="copy", objective={"size": 1.0}))
    weightless = Recipe.model_validate({"summary": "-", "aligners": {"infomax": 0}})


def recipe(name: str, check: str, says: str) -> Any:
    return broken(RecipeConformance, Recipes, check, says, recipe=lambda self: getattr(Recipes, name))


METHODS = [
    broken(MethodConformance, Nothing, "yields_a_model_and_answers_for_every_image", "adapt yielded nothing; expected"),
    broken(
        MethodConformance, ShortBank, "yields_a_model_and_answers_for_every_image", r"\(11, 3\); expected \(12, 3\)"
    ),
    broken(MethodConformance, TouchesTheSource, "leaves_the_source_network_alone", "classifier.bias .* has changed"),
    broken(MethodConformance, DrawsGlobally, "same_seed_gives_the_same_result", "differs by .* with the same seed"),
    broken(MethodConformance, LosesItsEpochs, "continues_where_it_was_stopped", "stopped after epoch 2 and started"),
    broken(MethodConformance, LosesItsEpochs, "continues_after_its_last_epoch", "the last bank differs by .* again"),
    broken(MethodConformance, WantsNoBatchNorm, "accepts_a_network_with_batch_norm", "the network has batch norm"),
]
RECIPES = [
    recipe("untold", "is_data", "the recipe has no summary"),
    recipe("wrong_term", "bridges_and_their_objectives_exist", r"the input bridge has no terms \['size'\]"),
    recipe("weightless", "each_phase_trains", "phase 'adapt' gives the network no gradient"),
]
VALIDATORS = [
    broken(
        ValidatorConformance, ScoresInTensors, "gives_a_finite_number_and_changes_no_bank", "is a Tensor; expected a"
    ),
    broken(ValidatorConformance, LooksAtTheFirst, "order_of_images_does_not_matter", "in another order; expected"),
    broken(ValidatorConformance, DividesBySpread, "collapsed_network", "the score is (inf|nan); expected a finite"),
    broken(ValidatorConformance, PairAgreement, "says_what_it_uses", r'reads pairs, .* expected uses=\("pairs",\)'),
    broken(ValidatorConformance, DividesBySpread, "single_image", "the score is nan; expected a finite"),
]
BROKEN = [*METHODS, *RECIPES, *VALIDATORS]
