"""Alarms without labels, for collapse and for signs that adaptation makes the model worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sfda_kit.evaluate.collapse import effective_classes, is_collapsed
from sfda_kit.evaluate.evaluation import label_free_diagnostics
from sfda_kit.evaluate.pair_alarm import PATIENCE, disagreement_stands

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank, PairBanks

UNSURE = 0.9
"""The share of the highest possible mean entropy, log K, above which predictions carry almost no information."""

ROUNDING = 1e-6
"""Tolerance for agreement by chance, which is no drift: it is exact where the reference predicts one class only."""

Diagnostics = Mapping[str, Any]


class Monitor:
    """A monitor reads the bank of each epoch; ``banks`` holds ``source-only`` and, if trained, ``bridge``.

    The bridge is the reference where there is one, because adaptation starts to learn from it, and because the source
    model alone may be near chance where the gap is large. ``pairs``: the TI pairs of the source model.
    """

    def __init__(self, banks: Mapping[str, FeatureBank], validator: str, pairs: PairBanks | None = None) -> None:
        self.banks, self.validator = banks, validator
        self.name = "bridge" if "bridge" in banks else "source-only"
        self.reference = label_free_diagnostics(banks[self.name], banks["source-only"])
        self.pairs = pairs

    def diagnostics(self, bank: FeatureBank, pairs: PairBanks | None = None) -> dict[str, Any]:
        """Return ``histogram``, ``entropy`` (nats), ``source_agreement`` and ``effective_classes`` of ``bank``.
        With a trained bridge add ``bridge_agreement``, and with ``pairs`` of the same model ``pair_agreement`` and
        ``source_pair_agreement``, that of the source model."""
        found = label_free_diagnostics(bank, self.banks["source-only"])
        if "bridge" in self.banks:
            same = bank.predictions == self.banks["bridge"].predictions
            found["bridge_agreement"] = float(same.float().mean())
        if pairs is not None and self.pairs is not None:
            found |= {"pair_agreement": pairs.agreement, "source_pair_agreement": self.pairs.agreement}
        return found | {"effective_classes": effective_classes(found["histogram"])}

    def alarms(self, diagnostics: Diagnostics, before: Sequence[Diagnostics]) -> dict[str, str]:
        """Return the alarms of an epoch by name; ``before`` holds the diagnostics of the phase's earlier epochs.

        ``collapse``: see ``evaluate.collapse``. ``unsure``: the mean entropy is near log K and above the reference's.
        ``drift``: the model agrees with the reference no more often than by chance. ``pair-disagreement``: in two
        consecutive epochs the model agreed, on target halves of TI pairs, with the source model's prediction for the
        source half clearly less often than the source model itself does (``pair_alarm``). ``negative-transfer``: in two
        consecutive epochs agreement and the validator's score fell while confidence rose.
        """
        found = {
            "collapse": self._collapse(diagnostics),
            "unsure": self._unsure(diagnostics),
            "drift": self._drift(diagnostics),
            "pair-disagreement": self._pair_disagreement([*before, diagnostics]),
            "negative-transfer": self._negative_transfer([*before, diagnostics]),
        }
        return {name: text for name, text in found.items() if text}

    def _collapse(self, diagnostics: Diagnostics) -> str:
        counts, reference = diagnostics["histogram"], self.reference["histogram"]
        if not is_collapsed(counts, reference):
            return ""
        return (
            f"predictions have collapsed to {effective_classes(counts):.1f} effective classes of {len(counts)} "
            f"({self.name}: {effective_classes(reference):.1f})"
        )

    def _unsure(self, diagnostics: Diagnostics) -> str:
        highest = math.log(max(2, len(diagnostics["histogram"])))
        entropy, reference = diagnostics["entropy"], self.reference["entropy"]
        if entropy <= max(UNSURE * highest, reference):
            return ""
        return (
            f"predictions are nearly uniform: their mean entropy is {entropy:.2f} nats of at most {highest:.2f} "
            f"({self.name}: {reference:.2f})"
        )

    def _drift(self, diagnostics: Diagnostics) -> str:
        agreement = self._agreement(diagnostics)
        chance = _chance(diagnostics["histogram"], self.reference["histogram"])
        if agreement > chance - ROUNDING:
            return ""
        return (
            f"the model agrees with {self.name} on {agreement:.1%} of the images, and by chance it would agree on "
            f"{chance:.1%}"
        )

    def _pair_disagreement(self, epochs: Sequence[Diagnostics]) -> str:
        if self.pairs is None:
            return ""
        agreements, reference = [epoch.get("pair_agreement") for epoch in epochs], self.pairs.agreement
        if not disagreement_stands(agreements, reference, len(self.pairs.source.logits)):
            return ""
        return (
            f"the model agrees with the source model on {agreements[-1]:.1%} of the TI pairs, and the source model "
            f"agrees with itself on {reference:.1%}. This has been clear for {PATIENCE} epochs: adaptation may "
            "be making the model worse"
        )

    def _negative_transfer(self, epochs: Sequence[Diagnostics]) -> str:
        recent = epochs[-PATIENCE - 1 :]
        scores = [epoch["validators"].get(self.validator) for epoch in recent]
        if len(recent) <= PATIENCE or None in scores:
            return ""
        falling = [[self._agreement(epoch) for epoch in recent], scores, [epoch["entropy"] for epoch in recent]]
        if not all(after < before for line in falling for before, after in pairwise(line)):
            return ""
        return (
            f"for {PATIENCE} epochs agreement with {self.name} and the score of {self.validator} fell while "
            "predictions grew more confident: adaptation may be making the model worse"
        )

    def _agreement(self, diagnostics: Diagnostics) -> float:
        return float(diagnostics["bridge_agreement" if self.name == "bridge" else "source_agreement"])


def _chance(counts: Sequence[int], reference: Sequence[int]) -> float:
    """Return the share of images on which two models with these histograms agree if they predict independently."""
    return sum(a * b for a, b in zip(counts, reference, strict=True)) / (sum(counts) * sum(reference))
