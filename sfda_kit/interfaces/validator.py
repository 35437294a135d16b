"""Scores of a model that need no label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank


class Validator(ABC):
    """Judges a model by its features and logits on unlabelled target images; higher is better.

    Required: ``__call__(bank, source_bank)``; ``bank`` is the model's, ``source_bank`` the source
    model's on the same images (features (N, D), logits (N, K)). The order of images must not matter.

    Optional: ``reads``, names of keyword arguments that the validator takes beside the two banks.
    ``"augmented"``: the model's bank on the same images in the same order, each cropped and flipped at
    random, and alike in every epoch. That costs a pass over the images, so such a validator is scored
    only where asked for. ``"pairs"``: the ``PairBanks`` of the TI pairs; scored where there are pairs.
    ``pairwise = True``, where the time grows with N squared: scored on small sets, and where asked for.

    Keyword arguments of ``__init__`` become options (``--set adapt.select.options.KEY=VALUE``).

    Example::

        class Confidence(Validator):
            def __call__(self, bank, source_bank):
                return float(bank.probabilities.amax(1).mean())
    """

    reads: ClassVar[tuple[str, ...]] = ()
    pairwise: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, bank: FeatureBank, source_bank: FeatureBank) -> float:
        """A finite score; higher is better."""
