"""A loss term of the adaptation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfda_kit.adapt.signals import StepSignals


class Aligner(ABC):
    """Returns a scalar to minimise, from the signals that all aligners of a step share.

    Required: ``__call__(signals)``. Optional: ``reads``, names of signals that must be prepared before
    the step (``batch_statistics``, ``memory``, ``pseudo_labels``); ``check(network)``, which raises
    ``UserError`` when the term cannot apply to a network; ``__init__`` keywords, which become options
    (``--set recipe.aligners.NAME.options.temperature=2``).

    A term that reads ``pseudo_labels`` keeps the recipe's labeler at work when the weight of the
    labeler's own cross-entropy is 0.

    A signal costs nothing until it is read, and is computed once a step. Shapes: B target images or
    TI pairs, D bottleneck features, K classes; see ``StepSignals`` for all of them.

    Example::

        class FeatureNorm(Aligner):
            def __call__(self, signals):
                return signals.target_features.norm(dim=1).mean()
    """

    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __call__(self, signals: StepSignals) -> Tensor:
        """Scalar loss (0-d tensor, unweighted)."""

    def check(self, network: nn.Module) -> None:
        """Raise ``UserError`` when this term cannot be computed for ``network``. Default: it can."""
        del network
