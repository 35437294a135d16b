"""The contract of a method with a training loop of its own; most methods are a ``Recipe`` instead."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.config.models import AdaptConfig, BridgeStageConfig
    from sfda_kit.data.views import PairView, TargetView
    from sfda_kit.events import Listener
    from sfda_kit.interfaces.bridge import Bridge
    from sfda_kit.interfaces.recipe import Recipe
    from sfda_kit.models.network import AdaptedModel, Network


def _bridge_defaults() -> BridgeStageConfig:
    from sfda_kit.config.models import BridgeStageConfig

    return BridgeStageConfig()


@dataclass
class AdaptationContext:
    """An adaptation context is all that a method gets; no label of a target image and no source image is reachable.

    ``target`` and ``pairs`` give batches of normalised images; ``source_network`` is frozen and in evaluation mode;
    ``network`` starts as its copy and is the one that adapts; ``checkpoint_dir`` is where a method keeps what it needs
    to resume. ``bridge_training``: the rates of a bridge that a phase trains. ``initial_network``: what ``network``
    starts as, where a control lets it start as another network than the source network.
    """

    recipe: Recipe
    config: AdaptConfig
    seed: int
    target: TargetView
    pairs: PairView | None
    source_network: Network
    network: Network
    input_bridge: Bridge
    teacher_bridge: Bridge | None
    checkpoint_dir: Path
    listener: Listener
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    bridge_training: BridgeStageConfig = field(default_factory=_bridge_defaults)
    initial_network: Network | None = None

    def __post_init__(self) -> None:
        joint = self.bridges().get(self.recipe.joint_bridge or "")
        self._untrained = copy.deepcopy(joint.state_dict()) if joint is not None else None

    def bridges(self) -> dict[str, Bridge]:
        """Return the bridges by role: ``input``, and ``teacher`` where the recipe has one."""
        roles = {"input": self.input_bridge}
        return roles | ({"teacher": self.teacher_bridge} if self.teacher_bridge is not None else {})

    def start_over(self) -> None:
        """Reset the network, and a bridge that phases train, to their initial state."""
        self.network = copy.deepcopy(self.initial_network or self.source_network).requires_grad_(True)
        if self._untrained is not None and self.recipe.joint_bridge:
            self.bridges()[self.recipe.joint_bridge].load_state_dict(self._untrained)


@dataclass(frozen=True)
class EpochState:
    """An epoch state is what a method yields after each epoch; the core evaluates and records it.

    ``model``: predicts from normalised target images; ``bank``: its features and logits on the target training images
    (the core reads it, so that no pass runs twice); ``diagnostics``: label-free figures.

    The core computes transductive scores from the bank and held-out scores from the model. A method that answers while
    it adapts (online) gives the bank of those answers, and its page says so.
    """

    phase: str
    epoch: int
    epochs: int
    model: AdaptedModel
    bank: FeatureBank
    diagnostics: dict[str, float] = field(default_factory=dict)


class Method(ABC):
    """A method adapts ``context.network``.

    Required: ``adapt(context)``, a generator that yields after every epoch (at least once). When it is run again with
    the same ``checkpoint_dir``, it continues after the last epoch it has saved. It saves an epoch when the next one is
    asked for, not before: the core may take back one that has collapsed. Optional: ``check(network)``, which raises
    ``UserError`` when the method cannot adapt a network; ``__init__`` keywords, which become options
    (``--set recipe.options.NAME=2``).

    The last state is that of epoch ``epochs``. Each bank has a finite row for every target image, without gradients.
    The source network stays as it is, in evaluation mode. The same seed gives the same result, so random numbers come
    from ``seeded_generator``. A method that was stopped after any epoch ends in the same state, bit for bit, as one
    that was not; one that is started again after its last epoch yields its result again. ``shares_passes``: whether
    several processes may work on one run, which needs that only ``train_stage`` trains and only ``Checkpoint`` writes.

    Example::

        class AdaBn(Method):
            def adapt(self, context):
                refresh_statistics(context.network, context.target)
                model = AdaptedModel(context.input_bridge, context.network)
                yield EpochState("adabn", 1, 1, model, fill_bank(model, context.target))
    """

    shares_passes: ClassVar[bool] = False

    @abstractmethod
    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Yield the state after each epoch; the last one is the result."""

    def check(self, network: Network) -> None:
        """Raise ``UserError`` when this method cannot adapt ``network`` (untrained). By default it can."""
        del network
