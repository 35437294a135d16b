"""The training of a bridge: once for a source model, a target and an objective, then cached."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sfda_kit import processes
from sfda_kit.adaptation.checked_terms import CheckedTerm
from sfda_kit.adaptation.step_inputs import epoch_inputs
from sfda_kit.adaptation.step_signals import BridgeSignals
from sfda_kit.errors import UserError
from sfda_kit.events import Event
from sfda_kit.plugins.boundary import call, refuse
from sfda_kit.plugins.code_hash import part_identity
from sfda_kit.plugins.discovery import build_part
from sfda_kit.source.source_card import WEIGHTS_FILE
from sfda_kit.source.source_models import load_weights, save_weights
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import Term, TrainingStage, seeded_generator, steps_per_epoch, train_stage
from sfda_kit.training.schedules import one_cycle
from sfda_kit.training.stage_cache import cached_stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sfda_kit.config.models import BridgeStageConfig
    from sfda_kit.data.views import GeometryKind, PairView, TargetView
    from sfda_kit.events import Listener
    from sfda_kit.interfaces.bridge import Bridge, BridgeObjective
    from sfda_kit.interfaces.recipe import BridgeConfig
    from sfda_kit.models.network import Network


class BridgeTraining:
    """A bridge training holds what all bridges of one run are trained on; ``identity`` names it for the stage cache."""

    def __init__(
        self,
        target: TargetView,
        pairs: PairView | None,
        source_network: Network,
        config: BridgeStageConfig,
        epochs: int,
        augmentation: GeometryKind,
        seed: int,
        identity: dict[str, Any],
        listener: Listener,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.target, self.pairs, self.source_network = target, pairs, source_network
        self.config, self.epochs, self.augmentation, self.seed = config, epochs, augmentation, seed
        self.identity, self.listener, self.autocast = identity, listener, autocast

    def prepare(self, wanted: BridgeConfig, *, is_trained_later: bool = False) -> Bridge:
        """Return the bridge, frozen and in evaluation mode; train it unless the cache has it or a phase trains it.

        Raises ``UserError`` when a trained bridge is asked for and the task has no TI pairs.
        """
        seeded_generator(self.seed, "bridge-initialisation", wanted.name)
        bridge: Bridge = build_part("bridge", wanted.name, wanted.options)
        bridge.to(self.target.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if bridge.trained and not self.pairs:
            raise UserError(
                f"The bridge {wanted.name!r} is trained on TI pairs and the task has none. Name TI "
                "classes (--ti-classes A,B), give a folder of pairs (--ti-dir), or use --bridge copy."
            )
        if bridge.trained and not is_trained_later:
            weights = objective_weights(bridge, wanted)
            identity = self._identity(wanted, weights)
            folder = cached_stage("bridge", identity, lambda work: self._train(bridge, weights, work), self.listener)
            load_weights(bridge, folder / WEIGHTS_FILE)
        return bridge.requires_grad_(False).eval()

    def _identity(self, wanted: BridgeConfig, weights: dict[str, float]) -> dict[str, Any]:
        training = self.config.model_dump(exclude={"epochs", "epochs_factor"}) | {"epochs": self.epochs}
        return self.identity | {
            "bridge": [*part_identity("bridge", wanted.name), wanted.options, weights],
            "training": training,
            "seed": self.seed,
        }

    def stage(self, bridge: Bridge, weights: dict[str, float]) -> TrainingStage:
        """Return the training of ``bridge`` by the terms of its objective that have ``weights``."""
        objective = call(bridge, bridge.objective, self.source_network).to(self.target.device)
        return TrainingStage(
            name="bridge",
            epochs=self.epochs,
            steps=self._steps_per_epoch(),
            modules={"bridge": bridge, "objective": objective},
            optimizer=bridge_optimizer(bridge, objective, self.config),
            signals=lambda epoch, generator: self._steps(bridge, epoch, generator),
            terms=objective_terms(bridge, objective, weights),
            lr_factor=one_cycle,
            seed=self.seed,
            autocast=self.autocast,
            rate="bridge_training.lr",
        )

    def _train(self, bridge: Bridge, weights: dict[str, float], folder: Path) -> None:
        stage = self.stage(bridge, weights)
        bridge.train()
        checkpoint = Checkpoint(folder / "checkpoint.pt")
        for done in train_stage(stage, checkpoint, self.listener):
            self.listener(Event("epoch", "bridge", {"epoch": done, "figures": dict(call(bridge, bridge.figures))}))
        if processes.is_first():
            save_weights(bridge, folder / WEIGHTS_FILE)
        checkpoint.remove()

    def _steps_per_epoch(self) -> int:
        assert self.pairs is not None
        size = self.config.batch_size
        return max(steps_per_epoch(len(images), size, "auto") for images in (self.target, self.pairs))

    def _steps(self, bridge: Bridge, epoch: int, generator: torch.Generator) -> Iterable[BridgeSignals]:
        size, steps = self.config.batch_size, self._steps_per_epoch()
        views = (self.target, self.pairs, self.augmentation, generator)
        for inputs in epoch_inputs(*views, size=size, steps=steps, epoch=epoch, epochs=self.epochs):
            yield BridgeSignals(inputs, bridge, self.source_network)


def objective_weights(bridge: Bridge, wanted: BridgeConfig) -> dict[str, float]:
    """Return the weights of the objective's terms, without those of weight 0."""
    weights = {**bridge.default_objective, **wanted.objective}
    return {name: weight for name, weight in weights.items() if weight != 0}


def objective_terms(bridge: Bridge, objective: BridgeObjective, weights: dict[str, float]) -> dict[str, Term]:
    """Return the weighted terms of an objective of ``bridge``. Raises ``PartError`` where it lacks one of them."""
    terms = call(bridge, objective.terms)
    for name in weights:
        if name not in terms:
            refuse(bridge, f"an objective with the terms {', '.join(terms)}", f"the term {name!r} of default_objective")
    return {name: (weight, CheckedTerm(bridge, terms[name])) for name, weight in weights.items()}


def bridge_optimizer(bridge: Bridge, objective: BridgeObjective, config: BridgeStageConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a bridge and its objective, in a stage of their own or beside a network."""
    parameters = [*bridge.parameters(), *objective.parameters()]
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
