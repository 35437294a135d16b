"""The contract of an aligner: one loss term of the adaptation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfda_kit.adaptation.step_signals import StepSignals
    from sfda_kit.models.network import Network


class Aligner(ABC):
    """An aligner returns a scalar to minimise, computed from the signals that all aligners of a step share.

    Required: ``__call__(signals)``. Optional: ``reads``, the names of signals that must be prepared before the step
    (``batch_statistics``, ``memory``, ``pseudo_labels``, ``target_bank``); ``check(network)``, which raises
    ``UserError`` when the term cannot apply to a network; ``own_module(network)``, for a term with parameters of its
    own (a discriminator); ``__init__`` keywords, which become options (``--set
    recipe.aligners.NAME.options.temperature=2``).

    The scalar is finite and carries a gradient to the adapting network, at the latest in the middle of a phase. The
    source network is a fixed reference: it gets no gradient and none of its buffers changes. The same step gives the
    same loss, so random numbers come from ``signals.random``. Each parameter of an own module gets a gradient. An
    ordinary network with BatchNorm passes ``check``. Keywords of ``__init__`` are named, without ``**kwargs``, so that
    a misspelt option is refused; this holds for parts of all kinds.

    When a term reads ``pseudo_labels``, the recipe's labeler also runs if the weight of its own cross-entropy is 0.

    A signal is computed when a term first reads it, once per step; it costs nothing until then. Shapes: B target images
    or TI pairs, D bottleneck features, K classes; ``StepSignals`` describes all signals.

    Example::

        class FeatureNorm(Aligner):
            def __call__(self, signals):
                return signals.target_features.norm(dim=1).mean()
    """

    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __call__(self, signals: StepSignals) -> Tensor:
        """Return the unweighted loss as a scalar (0-d tensor)."""

    def check(self, network: nn.Module) -> None:
        """Raise ``UserError`` when this term cannot be computed for ``network``. By default it can."""
        del network

    def own_module(self, network: Network) -> nn.Module | None:
        """Create the term's own parameters for ``network``, keep them in ``self`` and return them; by default None.

        The core calls this once, before the first step of a phase. The phase's optimiser trains the parameters at
        ``adapt.lr`` with the gradient of the weighted term. Checkpoints hold them; the adapted model does not.
        """
        del network
        return None
