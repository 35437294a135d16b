"""The contract of a validator: a score of a model that needs no label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank


class Validator(ABC):
    """A validator judges a model by its features and logits on unlabelled target images; higher is better.

    Required: ``__call__(bank, source_bank)``; ``bank`` is that of the model and ``source_bank`` that of the source
    model on the same images (features (N, D), logits (N, K)). The score is a finite float, also for a single image and
    where the network has collapsed (one class, equal features). The order of images must not matter, and the banks stay
    as they are, because others read them too.

    Optional: ``reads``, the names of keyword arguments that the validator takes besides the two banks. ``"augmented"``
    is the model's bank on the same images in the same order, each cropped and flipped at random, in the same way in
    every epoch. It costs a pass over the images, so such a validator is scored only on request. ``"pairs"`` is the
    ``PairBanks`` of the TI pairs; such a validator is scored where there are pairs. ``pairwise = True`` says that the
    time grows with N squared; such a validator is scored on small sets, and on request.

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
        """Return a finite score; higher is better."""
