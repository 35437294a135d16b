"""What can be said about a model without a label: shown to those who have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.evaluate.evaluation import label_free_diagnostics

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks

Score = Callable[["FeatureBank", "PairBanks | None"], dict[str, float | None]]
"""Scores of a bank, and of the TI pairs of the same model, by validator; None where one is not finite."""


def label_free_report(
    banks: Mapping[str, FeatureBank], pairs: Mapping[str, PairBanks], score: Score
) -> dict[str, dict[str, Any]]:
    """One entry a model, from its bank on the unlabelled target images.

    ``banks`` holds ``source-only``, ``adapted`` and, where a bridge is trained, ``bridge`` (the source
    model through it); ``pairs`` has those of the same models on TI pairs, and is empty where there are
    none. An entry has ``histogram`` (predicted images a class), ``entropy`` (mean, nats),
    ``source_agreement`` and ``bridge_agreement`` (shares in [0, 1]) and ``validators``: the scores that
    ``score`` gives, higher is better.
    """
    return {name: _describe(bank, banks) | {"validators": score(bank, pairs.get(name))} for name, bank in banks.items()}


def _describe(bank: FeatureBank, banks: Mapping[str, FeatureBank]) -> dict[str, Any]:
    source = banks["source-only"]
    entry = label_free_diagnostics(bank, source)
    if "bridge" in banks:
        same = bank.predictions == banks["bridge"].predictions
        entry["bridge_agreement"] = float(same.float().mean())
    return entry
