"""A loss term of the adaptation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfda_kit.adaptation.step_signals import StepSignals
    from sfda_kit.models.network import Network


class Aligner(ABC):
    """Returns a scalar to minimise, from the signals that all aligners of a step share.

    Required: ``__call__(signals)``. Optional: ``reads``, names of signals that must be prepared before
    the step (``batch_statistics``, ``memory``, ``pseudo_labels``); ``check(network)``, which raises
    ``UserError`` when the term cannot apply to a network; ``own_module(network)``, for a term with parameters
    of its own (a discriminator); ``__init__`` keywords, which become options
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

    def own_module(self, network: Network) -> nn.Module | None:
        """Parameters of the term's own, made for ``network`` and kept in ``self``. Default: none.

        Called once, before the first step of a phase. The phase's optimiser trains them at ``adapt.lr`` with
        the gradient of the weighted term, and checkpoints hold them; the adapted model does not.
        """
        del network
        return None
