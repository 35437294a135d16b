"""Scores of a model that need no label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfda_kit.adapt.bank import FeatureBank


class Validator(ABC):
    """Judges a model by its features and logits on unlabelled target images; higher is better.

    Required: ``__call__(bank, source_bank)``; ``bank`` is the model's, ``source_bank`` the source
    model's on the same images (features (N, D), logits (N, K)).

    Example::

        class Confidence(Validator):
            def __call__(self, bank, source_bank):
                return float(bank.probabilities.amax(1).mean())
    """

    @abstractmethod
    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        """A finite score; higher is better."""
