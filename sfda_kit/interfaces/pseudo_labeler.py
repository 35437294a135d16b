"""The contract of a pseudo-labeler, which labels the unlabelled target images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit.adaptation.feature_bank import FeatureBank


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels are ``labels``, int64 (N,) in [0, K), and ``weights``, float (N,) >= 0; 0 leaves an image out."""

    labels: Tensor
    weights: Tensor


class PseudoLabeler(ABC):
    """A pseudo-labeler labels all N target training images from the network's own answers to them.

    Required: ``__call__(bank)``; the bank holds bottleneck features (N, D) and logits (N, K), computed with the test
    transform at the start of the epoch. Optional: ``__init__`` keywords, which become options.

    An image's label does not depend on the order of the images. The bank stays as it is, because others read it too.
    Labels are valid for a single image and where the network has collapsed (one class, equal features). Weights are
    finite and carry no gradient.

    Example::

        class Argmax(PseudoLabeler):
            def __call__(self, bank):
                return PseudoLabels(bank.logits.argmax(1), bank.probabilities.amax(1))
    """

    @abstractmethod
    def __call__(self, bank: FeatureBank) -> PseudoLabels:
        """Return the labels in the order of the target view's rows."""
