"""The target-supervised upper bounds, which are part of the core, are marked as such, and never rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfda_kit.adaptation.feature_bank import fill_bank
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.evaluate.core_method import LabelledMethod
from sfda_kit.interfaces.method import EpochState
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.models.network import AdaptedModel
from sfda_kit.source.source_training import SupervisedTrainer
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import train_stage

if TYPE_CHECKING:
    from sfda_kit.config.models import RunConfig
    from sfda_kit.data.open_views import ViewOpener
    from sfda_kit.data.task import Task
    from sfda_kit.data.views import Normalisation
    from sfda_kit.interfaces.method import AdaptationContext

VIEWS = ("source", "adapt")


class Oracle(LabelledMethod):
    """The oracle continues to train the source model with target labels, with the settings of the source stage.

    ``balanced``: each image counts by the inverse of the number of labelled images of its class. ``views``: whose
    augmentation the images have, that of ``source`` or, as methods see them, that of ``adapt``.
    """

    shares_passes: ClassVar[bool] = True
    recipe: ClassVar[Recipe] = Recipe()

    def __init__(self, balanced: bool = False, views: str = "source") -> None:
        if views not in VIEWS:
            raise UserError(f"oracle: there are no views {views!r}. {did_you_mean(views, VIEWS)}")
        self.balanced, self.views = balanced, views

    def adapt(self, context: AdaptationContext) -> Iterator[EpochState]:
        """Train on the labelled target images, as long as the source stage. No label chooses an epoch."""
        rows = torch.arange(len(self.labelled))
        config = self.config.source.model_copy(update={"freeze_backbone": False})  # methods may train it too
        if self.views == "adapt":
            config = config.model_copy(update={"augmentation": context.config.augmentation})
        weights = class_weights(self.labelled.labels, context.network.class_count) if self.balanced else None
        trainer = SupervisedTrainer(
            context.network, self.labelled, rows, config, context.seed, context.autocast, weights
        )
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


class OraclePlus(Oracle):
    """This oracle also learns from the target sensor's pictures of the groups that the source model learned from."""

    def open_views(self, opener: ViewOpener, normalisation: Normalisation, config: RunConfig) -> None:
        """Take the target training images and those of source groups. Raises ``UserError`` where there are none."""
        more = rows_of_source_groups(opener.task, skips_bad=config.dataset.skip_bad)
        if not len(more):
            raise UserError(
                f"oracle-plus: {opener.task.target} has no further pictures of the groups of the source part, so it "
                "would be the oracle. Use --method oracle."
            )
        rows = np.concatenate([opener.task.rows["target-train"], more])
        self.take(opener.labelled_rows(rows, normalisation), config)


def rows_of_source_groups(task: Task, *, skips_bad: bool = False) -> NDArray[np.int64]:
    """Return the rows of ``task`` that the target sensor has of groups of the source part, sorted, int64.

    They are of TR classes. No row of a target part is among them, and with ``skips_bad`` no unreadable one.
    """
    index = task.index
    codes = [index.classes.index(name) for name in task.classes]
    there = index.domain == index.domains.index(task.target.domain)
    there &= np.isin(index.group, index.group[task.rows["source"]]) & np.isin(index.label, codes)
    for part in ("target-train", "target-test"):
        there[task.rows[part]] = False
    if skips_bad:
        there[list(task.dataset.bad_rows((task.source.modality, task.target.modality)))] = False
    return np.flatnonzero(there)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return N / (K n_k) for each of K classes (K,), where n_k of ``labels`` (N,) are k; 0 for a class without any."""
    counts = labels.bincount(minlength=classes).float()
    weights = len(labels) / (classes * counts.clamp_min(1))
    return torch.where(counts > 0, weights, 0.0)
