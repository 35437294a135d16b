"""The contracts of bridges, which translate target images into source-like ones, and of what trains them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from sfda_kit.adaptation.step_signals import BridgeSignals
    from sfda_kit.models.network import Network


class BridgeObjective(nn.Module):
    """A bridge objective holds the loss terms that train a bridge; it may have parameters of its own (a discriminator).

    Required: ``terms()``, functions from ``BridgeSignals`` to finite scalars. Each gives the bridge a gradient, and the
    source network none. A term whose weight is 0 is never called.
    """

    def terms(self) -> Mapping[str, Callable[[BridgeSignals], Tensor]]:
        """Return the unweighted terms by name."""
        raise NotImplementedError


class Bridge(nn.Module, ABC):
    """A bridge maps encoded target images (B, 3, H, W) into the source model's normalised input space.

    The input is normalised with the source card's statistics too, so the identity is a valid bridge. Required:
    ``forward``. A bridge with ``trained = True`` also gives ``default_objective`` (weights by term name) and
    ``objective(source_network)``; the core trains it on TI pairs and unlabelled target images, with a frozen source
    network. Optional: ``figures``, which describe the bridge after each epoch of training. ``__init__`` keywords become
    options.

    ``forward`` keeps shape and type, for any size (odd ones too) and channels-last memory, with finite values. In
    evaluation mode each image is translated alone, whatever its batch. The state dictionary holds all that ``forward``
    needs. Weights of ``default_objective`` are 0 or more, at least one is above 0, and each belongs to a term. A bridge
    with ``trained = False`` has no parameters and no ``default_objective``.

    Example::

        class Affine(Bridge):
            def __init__(self):
                super().__init__()
                self.mix = nn.Conv2d(3, 3, 1)
            def forward(self, images):
                return self.mix(images)
    """

    trained: ClassVar[bool] = True
    default_objective: ClassVar[Mapping[str, float]] = {}

    def __init__(self) -> None:  # without it a misspelt option would pass into nn.Module's own **kwargs
        super().__init__()

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to images of the same shape."""

    def objective(self, source_network: Network) -> BridgeObjective:
        """Return the objective of this bridge; called before each training, and only when ``trained``."""
        raise NotImplementedError(f"{type(self).__name__} is trained but names no objective")

    def figures(self) -> Mapping[str, float]:
        """Return label-free figures of the bridge's present state in percent, by name. By default there are none."""
        return {}
