"""Measures what a stage takes: ``python -m sfda_kit.runs.memory_probe`` reads a ``MemoryProbe`` from its input.

It makes two steps of the stage on random images, in a process of its own, and prints the peak of its memory in MiB.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sfda_kit.adaptation.bridge_stage import BridgeTraining, objective_weights
from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.config.models import RunConfig
from sfda_kit.data.views import ImageView, LabelledView, Normalisation, PairView, TargetView, stored_size
from sfda_kit.device import autocast, choose_device
from sfda_kit.evaluate.core_method import LabelledMethod
from sfda_kit.events import silent
from sfda_kit.files import is_out_of_memory
from sfda_kit.interfaces.method import AdaptationContext
from sfda_kit.models.module_factories import trust_backbone
from sfda_kit.models.network import AdaptedModel, Network, build_network, frozen_copy
from sfda_kit.models.recomputed import recompute_activations
from sfda_kit.parent import end_with_parent
from sfda_kit.plugins.modalities import modality
from sfda_kit.results.cost import peak_memory_mb
from sfda_kit.runs.memory import NO_MEMORY, MemoryProbe
from sfda_kit.runs.plan import MethodPlan, plan_method
from sfda_kit.source.held_out import Course
from sfda_kit.source.source_cards import load_joint_card
from sfda_kit.source.source_models import untrained
from sfda_kit.source.source_training import SupervisedTrainer
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import TrainingStage, train_stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 2
"""The steps that are made: what an optimiser remembers of the first lies in memory in the second."""


def main() -> None:
    """Measure what the input names, and print the peak; exit with ``NO_MEMORY`` where memory runs out."""
    wanted = MemoryProbe(**json.loads(sys.stdin.readline()))
    end_with_parent()
    if wanted.limit:
        _limit(wanted.limit)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured = _Steps(wanted, Path(folder))
            getattr(measured, wanted.stage)()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sys.exit(NO_MEMORY)
    sys.stdout.write(f"{peak_memory_mb(measured.device)}\n")


def _limit(size: int) -> None:
    """Let this process fail before the computer runs out of memory, where the system has such a limit."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


class _Steps:
    """The first steps of each stage of a run, with random images and an untrained network."""

    def __init__(self, wanted: MemoryProbe, folder: Path) -> None:
        config = RunConfig.model_validate(wanted.config)
        trust_backbone(config.model.backbone)
        self.wanted, self.folder = wanted, folder
        self.plan: MethodPlan = plan_method(config)
        self.plan.check()
        self.config = self.plan.config
        self.device = choose_device(self.config.compute)
        self.autocast = autocast(self.config.compute, self.device)
        self.network = self._network().to(self.device)
        if self.config.compute.checkpoint_activations:
            recompute_activations(self.network)

    def source(self) -> None:
        """Train a source model."""
        config, images = self.config.source, self._labelled(self.wanted.source)
        rows = torch.arange(len(images))
        short = config.model_copy(update={"epochs": 1, "batch_size": self.wanted.batch})
        trainer = SupervisedTrainer(self.network, images, rows, short, 0, self.autocast)
        course = Course(1, self.network if config.keeps_best else None)
        self._train(trainer.stage("source", course=course))
        trainer.accuracy(rows)

    def bridge(self) -> None:
        """Train each bridge that is trained beforehand."""
        config = self.config.bridge_training.model_copy(update={"batch_size": self.wanted.batch})
        training = self._bridges(frozen_copy(self.network), config)
        for role, part in self.plan.recipe.bridges().items():
            bridge = training.prepare(part, is_trained_later=True)
            if bridge.trained and role != self.plan.recipe.joint_bridge:
                self._train(training.stage(bridge.requires_grad_(True).train(), objective_weights(bridge, part)))

    def adaptation(self) -> None:
        """Adapt for a short epoch of each phase."""
        size = {"batch_size": self.wanted.batch, "epochs": 1}
        labelled = self._labelled(self.wanted.target)
        source_network = frozen_copy(self.network)
        training = self._bridges(source_network, self.config.bridge_training)
        bridges = {
            role: training.prepare(part, is_trained_later=True) for role, part in self.plan.recipe.bridges().items()
        }
        context = AdaptationContext(
            recipe=self.plan.recipe,
            config=self.config.adapt.model_copy(update={**size, "steps_per_epoch": STEPS}),
            seed=0,
            target=training.target,
            pairs=training.pairs,
            source_network=source_network,
            network=self.network.requires_grad_(True),
            input_bridge=bridges["input"],
            teacher_bridge=bridges.get("teacher"),
            checkpoint_dir=self.folder,
            listener=silent,
            autocast=self.autocast,
            bridge_training=self.config.bridge_training,
        )
        method = self.plan.method()
        if isinstance(method, LabelledMethod):
            source = self.config.source.model_copy(update=size)
            method.take(labelled, self.config.model_copy(update={"source": source}))
        for _ in method.adapt(context):
            pass

    def passes(self) -> None:
        """Let the network answer without gradients, beside its frozen copy."""
        frozen = frozen_copy(self.network)
        bridge = self._bridges(frozen, self.config.bridge_training).prepare(
            self.plan.recipe.input_bridge, is_trained_later=True
        )
        images = self._view(ImageView, self.wanted.target)
        fill_bank(AdaptedModel(bridge, self.network), images, self.wanted.batch, self.autocast)

    def _train(self, stage: TrainingStage) -> None:
        """Make the first steps of a stage, and the check at the end of its epoch."""
        short = replace(stage, signals=lambda epoch, generator: islice(stage.signals(epoch, generator), STEPS))
        next(train_stage(short, Checkpoint(self.folder / "none.pt"), silent))

    def _network(self) -> Network:
        cards = self.config.source.cards
        if cards:
            return untrained(load_joint_card(cards))
        return build_network(self.config.model, self.wanted.classes, pretrained=False)

    def _bridges(self, source_network: Network, config: Any) -> BridgeTraining:
        pairs = None
        if self.wanted.has_pairs:
            pairs = PairView(self._view(ImageView, self.wanted.source), self._view(ImageView, self.wanted.target))
        target, kind = self._view(TargetView, self.wanted.target), self.config.adapt.augmentation
        return BridgeTraining(target, pairs, source_network, config, 1, kind, 0, {}, silent, self.autocast)

    def _labelled(self, name: str) -> LabelledView:
        labels = torch.arange(STEPS * self.wanted.batch) % self.wanted.classes
        return self._view(LabelledView, name, labels=labels)  # type: ignore[no-any-return]

    def _view(self, kind: Any, name: str, **more: Any) -> Any:
        size = self.config.model.image_size
        whitened = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        pixels = random_pixels(name, STEPS * self.wanted.batch, size)
        return kind(pixels, modality(name), self.plan.encoding, size, whitened, self.device, **more)


def random_pixels(name: str, count: int, size: int) -> NDArray[np.generic]:
    """Return stored images of the modality ``name`` for images of ``size``."""
    known, side = modality(name), stored_size(size)
    dtype = known.dtypes[0]
    low, high = (500, 4000) if dtype == np.uint16 else (0, 256)
    shape = (count, side, side, *((3,) if known.channels == 3 else ()))
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


if __name__ == "__main__":
    main()
