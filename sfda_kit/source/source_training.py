"""Training of the source model, and of the oracle, on labelled images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import processes
from sfda_kit.data.augment import color_jitter
from sfda_kit.data.views import LabelledView, Normalisation
from sfda_kit.device import CPU_BATCH
from sfda_kit.errors import UserError
from sfda_kit.events import Event, Listener
from sfda_kit.metrics import accuracy
from sfda_kit.models.network import Network, build_network
from sfda_kit.models.recomputed import recompute_activations
from sfda_kit.source.filling import fill_backbone
from sfda_kit.source.held_out import Course, hold_out
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import (
    TrainingStage,
    endless,
    seeded_generator,
    steps_per_epoch,
    train_stage,
)
from sfda_kit.training.optimizers import sgd
from sfda_kit.training.schedules import schedule

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig, SourceConfig
    from sfda_kit.source.located_weights import LocatedWeights

EVALUATIONS = 20
"""The number of looks at held-out images, and of equal parts ("epochs") of a training that is counted in steps."""
FEWEST_PASSES = 10
"""The least passes over the images of a training that is counted in steps, because large sets need more steps."""


@dataclass(frozen=True)
class LabelledBatch:
    """A labelled batch holds normalised ``images`` (B, 3, H, W) and ``labels`` (B,) in [0, K)."""

    images: Tensor
    labels: Tensor


def measure_normalisation(
    view: LabelledView, model: ModelConfig, weights: LocatedWeights | None = None
) -> Normalisation:
    """Return the values that ``weights`` or timm state for pretrained weights, else those of the source images."""
    if weights and weights.mean and weights.std:
        return Normalisation(weights.mean, weights.std)
    if model.begins_trained:
        import timm

        cfg: Any = timm.get_pretrained_cfg(model.backbone)
        if cfg is None or cfg.mean is None or cfg.std is None:
            raise UserError(
                f"Nothing says with which normalisation the weights of {model.backbone} were trained. Put them into a "
                "folder with a config.json as timm writes it, with mean and std in its pretrained_cfg."
            )
        return Normalisation(tuple(cfg.mean), tuple(cfg.std))
    mean, std = channel_statistics(view)
    return Normalisation(mean, std)


def channel_statistics(view: LabelledView) -> tuple[Any, Any]:
    """Return mean and standard deviation of each encoded channel, in [0, 1], from some images if over 4,000."""
    rows = torch.arange(0, len(view), max(1, len(view) // 2000))
    # Small results between large values would keep the freed memory in pieces, so their place is made beforehand.
    firsts, seconds = torch.empty(2, len(rows), 3, dtype=torch.float64)
    for start in range(0, len(rows), CPU_BATCH):
        some = slice(start, start + CPU_BATCH)
        firsts[some], seconds[some] = _moments(view.encoded(rows[some]))
    first, second = firsts.mean(0), seconds.mean(0)
    std = (second - first.square()).clamp_min(1e-6).sqrt()
    return tuple(float(v) for v in first), tuple(float(v) for v in std)


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of values and of squares for each channel, both (B, 3)."""
    exact = images.cpu().double()  # the CPU sums in double precision, which not every accelerator supports
    return exact.mean(dim=(2, 3)), exact.square_().mean(dim=(2, 3))


def train_network(
    view: LabelledView,
    groups: Tensor,
    model: ModelConfig,
    config: SourceConfig,
    classes: int,
    seed: int,
    folder: Path,
    listener: Listener,
    autocast: Callable[[], AbstractContextManager[Any]],
    recomputes: bool = False,
    weights: LocatedWeights | None = None,
) -> tuple[Network, float, int]:
    """Train on ``view`` (normalised), with a backbone that begins with ``weights`` where they are given.

    Returns the network, its held-out accuracy in percent and the held-out count. ``recomputes``: backward passes
    compute activations again (``models/recomputed.py``).
    """
    rows, held_out = hold_out(groups, config.held_out, seed, view.labels)
    seeded_generator(seed, "source-initialisation")
    network = build_network(model, classes)
    if weights:
        listener(Event("notice", "source", {"text": fill_backbone(network, weights)}))
    network = network.to(view.device)
    if recomputes:
        recompute_activations(network)
    trainer = SupervisedTrainer(network, view, rows, config, seed, autocast)
    course = Course(trainer.epochs, network if config.keeps_best else None).to(view.device)
    ends_early = config.epochs is None and config.schedule != "one-cycle"  # its last part, at a low rate, brings most
    checkpoint = Checkpoint(folder / "checkpoint.pt")
    for done in train_stage(trainer.stage("source", course=course), checkpoint, listener):
        accuracy = processes.agreed(trainer.accuracy(held_out)) if trainer.evaluated(done) else None
        course.note(done, trainer.mean_loss(), accuracy, network)
        figures = {} if accuracy is None else {"held_out_accuracy": accuracy}
        listener(Event("epoch", "source", {"epoch": done, "figures": figures}))
        if ends_early and course.flat(config.patience) and not course.still_falling():
            break
    checkpoint.remove()
    _tell(course, listener)
    return network.eval(), course.result(network), len(held_out)


def _tell(course: Course, listener: Listener) -> None:
    if course.still_falling():
        text = (
            "the training loss of the source model was still falling at the end: train longer "
            "(--set source.steps=..., or --source-epochs)"
        )
        listener(Event("notice", "source", {"text": text}))


class SupervisedTrainer:
    """A supervised trainer trains the source model or the oracle: cross-entropy with label smoothing.

    ``class_weights`` (K,): what an image of each class counts, None where all count alike.
    """

    def __init__(
        self,
        network: Network,
        view: LabelledView,
        rows: Tensor,
        config: SourceConfig,
        seed: int,
        autocast: Callable[[], AbstractContextManager[Any]],
        class_weights: Tensor | None = None,
    ) -> None:
        self.class_weights = None if class_weights is None else class_weights.to(view.device)
        self.network, self.view, self.rows = network, view, rows
        self.config, self.seed, self.autocast = config, seed, autocast
        a_pass = steps_per_epoch(len(rows), config.batch_size, drop_last=config.drop_last)
        self.epochs, self.steps = config.epochs or EVALUATIONS, a_pass
        if config.epochs is None:
            self.steps = math.ceil(max(config.steps, FEWEST_PASSES * a_pass) / EVALUATIONS)
        self._losses: list[Tensor] = []

    def stage(self, name: str, **beside: nn.Module) -> TrainingStage:
        """Return the stage for the training loop. ``beside``: what its checkpoint holds beside the network."""
        return TrainingStage(
            name=name,
            epochs=self.epochs,
            steps=self.steps,
            modules={"network": self.network, **beside},
            optimizer=self._optimizer(),
            signals=self._steps,
            terms={"cross-entropy": (1.0, self._cross_entropy)},
            lr_factor=schedule(self.config.schedule, self.epochs * self.steps),
            seed=self.seed,
            autocast=self.autocast,
            rate="source.lr",
        )

    def evaluated(self, epoch: int) -> bool:
        """Return whether held-out images are looked at after ``epoch`` (from 1): about ``EVALUATIONS`` times in all."""
        return epoch == self.epochs or epoch % math.ceil(self.epochs / EVALUATIONS) == 0

    def mean_loss(self) -> float:
        """Return the mean loss of the steps since the last call."""
        mean = processes.agreed(float(torch.stack(self._losses).mean()))
        self._losses.clear()
        return mean

    @torch.inference_mode()
    def accuracy(self, rows: Tensor) -> float:
        """Return the accuracy on ``rows`` in percent, with the test transform."""
        self.network.eval()
        size = CPU_BATCH if self.view.device.type == "cpu" else 256
        logits = torch.cat([self.network(self.view.batch(part)).logits for part in torch.split(rows, size)])
        return accuracy(logits.argmax(1).cpu().numpy(), self.view.labels[rows].numpy())

    def _optimizer(self) -> torch.optim.Optimizer:
        config, head = (
            self.config,
            [*self.network.bottleneck.parameters(), *self.network.classifier.parameters()],
        )
        groups = [
            {"params": list(self.network.backbone.parameters()), "lr": config.lr * config.backbone_lr_factor},
            {"params": head, "lr": config.lr},
        ]
        if config.optimizer == "adamw":
            return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        return sgd(groups, config.momentum, config.weight_decay)

    def _steps(self, epoch: int, generator: torch.Generator) -> Iterable[LabelledBatch]:
        """Yield the batches of one pass, or, where the training is counted in steps, of as many as it takes."""
        del epoch
        self.network.train()
        self._losses.clear()
        drawn = endless(len(self.rows), self.config.batch_size, generator, self.config.drop_last)
        for picked in itertools.islice(drawn, self.steps):
            rows = self.rows[picked]
            labels = self.view.labels[rows].to(self.view.device)
            yield LabelledBatch(self._images(rows, generator), labels)

    def _images(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        geometry = self.view.draw_geometry(len(rows), self.config.augmentation, generator)
        images = self.view.encoded(rows, geometry)
        if self.config.color_jitter and self.view.modality.name == "rgb":
            images = color_jitter(images, self.config.color_jitter, generator)
        return self.view.normalise(images)

    def _cross_entropy(self, batch: LabelledBatch) -> Tensor:
        logits = self.network(batch.images).logits
        loss = F.cross_entropy(logits, batch.labels, self.class_weights, label_smoothing=self.config.label_smoothing)
        self._losses.append(loss.detach())
        return loss
