"""The validators of a run, and their scores for each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks, fill_bank
from sfda_kit.data.augmented_view import AugmentedView
from sfda_kit.errors import PartError, UserError
from sfda_kit.events import Event
from sfda_kit.plugins.boundary import call, component_of, refuse
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.reads import check_reads
from sfda_kit.plugins.tensors import described
from sfda_kit.profiling import region

if TYPE_CHECKING:
    from torch import nn

    from sfda_kit.config.models import AdaptConfig
    from sfda_kit.interfaces.method import AdaptationContext
    from sfda_kit.interfaces.validator import Validator

READABLE = ("augmented", "pairs")
"""The names that a validator may declare in ``reads``."""
PAIRS_PER_SECOND = 1e8
"""The pairs of images that a pairwise validator compares in a second on one core (``benchmarks/speed/scale.json``)."""
MOST_PAIRWISE_ON_CPU = 300_000
"""The most images of which a pairwise validator compares all pairs on a CPU, in about a quarter of an hour an epoch."""
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
    return {name: _checked(registry().get("validator", name), given) for name, given in sorted(options.items())}


def _checked(component: Component, options: Mapping[str, Any] | None = None) -> Validator:
    validator: Validator = build(component, options)
    check_reads(validator, READABLE)
    return validator


class Scorer:
    """A scorer scores models on the unlabelled target images, by every validator that is requested or cheap.
    Raises ``UserError`` where a validator that is requested by name reads TI pairs and the task has none, or would
    compare all pairs of more images than a CPU can."""

    def __init__(self, context: AdaptationContext, source_bank: FeatureBank) -> None:
        self.context, self.source_bank = context, source_bank
        self.required = required(context.config)
        if context.pairs is None:
            self._leave_out_readers_of_pairs()
        if len(source_bank.logits) > MOST_PAIRWISE_ON_CPU and source_bank.logits.device.type == "cpu":
            self._leave_out_slow_ones(len(source_bank.logits))
        self.validators = dict(self.required)
        for component in registry().of_kind("validator"):
            if component.name not in self.validators and (found := self._cheap(component)):
                self.validators[component.name] = found
        self._without_score: set[str] = set()
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

    def _leave_out_slow_ones(self, images: int) -> None:
        config, hours = self.context.config, images**2 / PAIRS_PER_SECOND / 3600
        for name in [name for name, validator in self.required.items() if validator.pairwise]:
            if name == deciding(config) or name in config.validators:
                raise UserError(
                    f"The validator {name!r} compares each of the {images:,} target images with all others, which "
                    f"takes about {hours:.1f} hours of processor time in each epoch. On a CPU it takes at most "
                    f"{MOST_PAIRWISE_ON_CPU:,} images. Choose another validator, such as infomax, or run on a GPU."
                )
            del self.required[name]

    def _cheap(self, component: Component) -> Validator | None:
        try:
            validator = _checked(component)
        except Exception as error:  # A validator that nobody requested must not stop a run.
            self._leave_out(component, error)
            return None
        too_many = validator.pairwise and len(self.source_bank.logits) > PAIRWISE_IMAGES
        readable = {"pairs"} if self.context.pairs is not None else set()
        return None if too_many or not set(validator.reads) <= readable else validator

    def __call__(self, model: nn.Module, bank: FeatureBank, pairs: PairBanks | None = None) -> dict[str, float | None]:
        """Return the scores of ``model`` by validator, None where not finite; ``bank`` and ``pairs`` are its own."""
        extra = _known(pairs)
        if any("augmented" in validator.reads for validator in self.validators.values()):
            size, autocast = self.context.config.evaluation_batch_size, self.context.autocast
            extra["augmented"] = fill_bank(model, self.augmented, size, autocast)
        with region("validators"):
            return self._scores(bank, extra)

    def of_bank(self, bank: FeatureBank, pairs: PairBanks | None = None) -> dict[str, float | None]:
        """Return the scores of the validators that need nothing but ``bank`` and ``pairs``."""
        return self._scores(bank, _known(pairs))

    def _scores(self, bank: FeatureBank, extra: Mapping[str, Any]) -> dict[str, float | None]:
        scores: dict[str, float | None] = {}
        for name, validator in sorted(self.validators.items()):
            if not set(validator.reads) <= set(extra):
                continue
            given = {signal: extra[signal] for signal in validator.reads}
            try:
                score = _score(validator, bank, self.source_bank, **given)
            except Exception as error:
                if name in self.required:
                    raise
                del self.validators[name]
                self._leave_out(component_of(validator) or f"validator {name!r}", error)
                continue
            if score is None and name not in self._without_score:
                self._without_score.add(name)
                self._tell(f"the {component_of(validator)} gave no finite score; such an epoch is never chosen")
            scores[name] = score
        return scores

    def _leave_out(self, validator: object, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, PartError) and error.__cause__ else error
        reason = f"{type(cause).__name__}: {cause}"
        self._tell(f"the {validator} failed and is left out of the rest of this run ({reason})")

    def _tell(self, text: str) -> None:
        self.context.listener(Event("notice", data={"text": text}))


def _score(validator: Validator, bank: FeatureBank, source_bank: FeatureBank, **given: Any) -> float | None:
    """Return the score, None where it is not finite. Raises ``PartError`` where the validator fails."""
    came: Any = call(validator, validator, bank, source_bank, **given)
    try:
        score = float(came)
    except (TypeError, ValueError, RuntimeError):
        refuse(validator, described(came), "a finite number")
    return score if math.isfinite(score) else None


def _known(pairs: PairBanks | None) -> dict[str, Any]:
    return {} if pairs is None else {"pairs": pairs}
