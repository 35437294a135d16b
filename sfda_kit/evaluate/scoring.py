"""The validators of a run, and their scores for each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks, fill_bank
from sfda_kit.data.augmented_view import AugmentedView
from sfda_kit.errors import UserError
from sfda_kit.events import Event, Listener
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import build_part, registry

if TYPE_CHECKING:
    from torch import nn

    from sfda_kit.config.models import AdaptConfig
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.interfaces.validator import Validator

PAIRWISE_IMAGES = 5000
"""The most images for which a pairwise validator is cheap enough to run at every epoch without being requested."""


def deciding(config: AdaptConfig) -> str:
    """Return the name of the validator that selects the epoch, or would do so if selection were on."""
    return config.validator.name if config.select.name == "last" else config.select.name


def required(config: AdaptConfig) -> dict[str, Validator]:
    """Return the validators that a configuration names. Raises ``UserError`` on an unknown name or option."""
    chosen = config.validator if config.select.name == "last" else config.select
    names = registry().names("validator") if "all" in config.validators else config.validators
    options: dict[str, Mapping[str, Any]] = {name: {} for name in names}
    options[chosen.name] = chosen.options
    return {name: build_part("validator", name, given) for name, given in sorted(options.items())}


class Scorer:
    """A scorer scores models on the unlabelled target images, by every validator that is requested or cheap.
    Raises ``UserError`` where a validator that is requested by name reads TI pairs and the task has none."""

    def __init__(self, context: AdaptationContext, source_bank: FeatureBank) -> None:
        self.context, self.source_bank = context, source_bank
        self.required = required(context.config)
        if context.pairs is None:
            self._leave_out_readers_of_pairs()
        self.validators = dict(self.required)
        for component in registry().of_kind("validator"):
            if component.name not in self.validators and (found := self._cheap(component)):
                self.validators[component.name] = found
        self.augmented = AugmentedView(context.target, context.config.augmentation, context.seed)

    def _leave_out_readers_of_pairs(self) -> None:
        config = self.context.config
        for name in [name for name, validator in self.required.items() if "pairs" in validator.reads]:
            if name == deciding(config) or name in config.validators:
                raise UserError(
                    f"The validator {name!r} reads TI pairs and the task has none. Name TI classes (--ti-classes A,B), "
                    "give a folder of pairs (--ti-dir), or choose another validator."
                )
            del self.required[name]

    def _cheap(self, component: Component) -> Validator | None:
        try:
            validator: Validator = build(component)
        except Exception as error:  # A validator that nobody requested must not stop a run.
            _left_out(component.name, error, self.context.listener)
            return None
        too_many = validator.pairwise and len(self.source_bank.logits) > PAIRWISE_IMAGES
        readable = {"pairs"} if self.context.pairs is not None else set()
        return None if too_many or not set(validator.reads) <= readable else validator

    def __call__(self, model: nn.Module, bank: FeatureBank, pairs: PairBanks | None = None) -> dict[str, float | None]:
        """Return the scores of ``model`` by validator, None where not finite; ``bank`` and ``pairs`` are its own."""
        extra = _known(pairs)
        if any("augmented" in validator.reads for validator in self.validators.values()):
            size = self.context.config.evaluation_batch_size
            extra["augmented"] = fill_bank(model, self.augmented, size)
        return self._scores(bank, extra)

    def of_bank(self, bank: FeatureBank, pairs: PairBanks | None = None) -> dict[str, float | None]:
        """Return the scores of the validators that need nothing but ``bank`` and ``pairs``."""
        return self._scores(bank, _known(pairs))

    def _scores(self, bank: FeatureBank, extra: Mapping[str, Any]) -> dict[str, float | None]:
        scores: dict[str, float | None] = {}
        for name, validator in sorted(self.validators.items()):
            if not set(validator.reads) <= set(extra):
                continue
            call: Any = validator
            try:
                score = float(call(bank, self.source_bank, **{signal: extra[signal] for signal in validator.reads}))
            except Exception as error:
                if name in self.required:
                    raise
                del self.validators[name]
                _left_out(name, error, self.context.listener)
                continue
            scores[name] = score if math.isfinite(score) else None
        return scores


def _known(pairs: PairBanks | None) -> dict[str, Any]:
    return {} if pairs is None else {"pairs": pairs}


def _left_out(name: str, error: Exception, listener: Listener) -> None:
    reason = f"{type(error).__name__}: {error}"
    text = f"the validator {name!r} failed and is left out of the rest of this run ({reason})"
    listener(Event("notice", data={"text": text}))
