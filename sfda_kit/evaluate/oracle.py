"""The target-supervised upper bound, which is part of the core, is marked as such, and never ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.interfaces.method import EpochState, Method
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import AdaptedModel
from sfda_kit.source.source_training import SupervisedTrainer
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import train_stage

if TYPE_CHECKING:
    from sfda_kit.config.models import SourceConfig
    from sfda_kit.data.views import LabelledView
    from sfda_kit.interfaces.method import AdaptationContext


class Oracle(Method):
    """The oracle continues to train the source model with target labels, with the settings of the source stage."""

    needs_target_labels: ClassVar[bool] = True
    shares_passes: ClassVar[bool] = True
    recipe: ClassVar[Recipe] = Recipe()

    def __init__(self, labelled: LabelledView, config: SourceConfig) -> None:
        self.labelled = labelled
        self.config = config

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Train on the labelled target training images, as long as the source stage. No label chooses an epoch."""
        rows = torch.arange(len(self.labelled))
        trainer = SupervisedTrainer(context.network, self.labelled, rows, self.config, context.seed, context.autocast)
        model = AdaptedModel(context.input_bridge, context.network)
        checkpoint = Checkpoint(context.checkpoint_dir / "oracle.pt")

        def state(epoch: int) -> EpochState:
            bank = fill_bank(model, context.target, context.config.evaluation_batch_size, context.autocast)
            return EpochState("oracle", epoch, trainer.epochs, model, bank)

        done = 0
        for done in train_stage(trainer.stage("oracle"), checkpoint, context.listener):
            yield state(done)
        if not done:  # The run was resumed after its last epoch had been saved.
            yield state(trainer.epochs)
