"""A report on models without labels, for users who have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.evaluate.evaluation import label_free_diagnostics

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks

Score = Callable[["FeatureBank", "PairBanks | None"], dict[str, float | None]]
"""A function from a bank, and the TI pairs of the same model, to scores by validator; None where one is not finite."""


def label_free_report(
    banks: Mapping[str, FeatureBank], pairs: Mapping[str, PairBanks], score: Score
) -> dict[str, dict[str, Any]]:
    """Return an entry for each model, computed from its bank on the unlabelled target images.

    ``banks`` holds ``source-only``, ``adapted`` and, where a bridge is trained, ``bridge`` (the source model behind
    it). ``pairs`` holds the banks of these models on TI pairs, and is empty where there are none. An entry has
    ``histogram`` (number of predicted images per class), ``entropy`` (mean, nats), ``source_agreement``, with a bridge
    ``bridge_agreement`` (shares in [0, 1]), and ``validators``, the scores from ``score``, where higher is better.
    """
    return {name: _describe(bank, banks) | {"validators": score(bank, pairs.get(name))} for name, bank in banks.items()}


def _describe(bank: FeatureBank, banks: Mapping[str, FeatureBank]) -> dict[str, Any]:
    source = banks["source-only"]
    entry = label_free_diagnostics(bank, source)
    if "bridge" in banks:
        same = bank.predictions == banks["bridge"].predictions
        entry["bridge_agreement"] = float(same.float().mean())
    return entry
