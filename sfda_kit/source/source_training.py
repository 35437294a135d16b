"""Training of the source model, and of the oracle, on labelled images."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sfda_kit.data.augment import color_jitter
from sfda_kit.data.views import LabelledView, Normalisation
from sfda_kit.events import Event, Listener
from sfda_kit.metrics import accuracy
from sfda_kit.models.network import Network, build_network
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.loop import (
    TrainingStage,
    batches,
    seeded_generator,
    steps_per_epoch,
    train_stage,
)
from sfda_kit.training.schedules import schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from sfda_kit.config.models import ModelConfig, SourceConfig


@dataclass(frozen=True)
class LabelledBatch:
    """A labelled batch holds normalised ``images`` (B, 3, H, W) and ``labels`` (B,) in [0, K)."""

    images: Tensor
    labels: Tensor


def measure_normalisation(view: LabelledView, model: ModelConfig) -> Normalisation:
    """Return the values that timm states for pretrained weights, else those of the source images."""
    if model.pretrained:
        import timm

        cfg: Any = timm.get_pretrained_cfg(model.backbone)
        return Normalisation(tuple(cfg.mean), tuple(cfg.std))
    mean, std = channel_statistics(view)
    return Normalisation(mean, std)


def channel_statistics(view: LabelledView) -> tuple[Any, Any]:
    """Return mean and standard deviation of each encoded channel, in [0, 1], from some images if over 4,000."""
    rows = torch.arange(0, len(view), max(1, len(view) // 2000))
    # The CPU sums in double precision, which not every accelerator supports.
    chunks = [view.encoded(part).cpu().double() for part in torch.split(rows, 256)]
    first = torch.cat([chunk.mean(dim=(2, 3)) for chunk in chunks]).mean(0)
    second = torch.cat([chunk.square().mean(dim=(2, 3)) for chunk in chunks]).mean(0)
    std = (second - first.square()).clamp_min(1e-6).sqrt()
    return tuple(float(v) for v in first), tuple(float(v) for v in std)


def hold_out(groups: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return training rows and held-out rows. Whole groups with about ``share`` of the images are held out.

    Single images are held out where groups are so large that over half of the images would be held out.
    """
    generator = seeded_generator(seed, "hold-out")
    order = torch.randperm(int(groups.max()) + 1, generator=generator)
    held_out = _last(order[groups], share)
    if 2 * held_out.sum() > len(groups):
        held_out = _last(torch.randperm(len(groups), generator=generator), share)
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def _last(rank: Tensor, share: float) -> Tensor:
    """Return which rows have the highest ranks, bool (N,). Rows of equal rank stay together."""
    by_rank = rank.sort().values
    held_out: Tensor = rank >= by_rank[int(len(by_rank) * (1 - share))]
    return held_out


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
) -> tuple[Network, float, int]:
    """Train on ``view`` (normalised). Returns the network, its held-out accuracy in percent and the held-out count."""
    rows, held_out = hold_out(groups, config.held_out, seed)
    seeded_generator(seed, "source-initialisation")
    network = build_network(model, classes).to(view.device)
    trainer = SupervisedTrainer(network, view, rows, config, seed, autocast)
    checkpoint = Checkpoint(folder / "checkpoint.pt")
    for done in train_stage(trainer.stage("source"), checkpoint, listener):
        figures = {"held_out_accuracy": trainer.accuracy(held_out)}
        listener(Event("epoch", "source", {"epoch": done, "figures": figures}))
    checkpoint.path.unlink(missing_ok=True)
    return network.eval(), trainer.accuracy(held_out), len(held_out)


class SupervisedTrainer:
    """A supervised trainer trains the source model or the oracle: cross-entropy with label smoothing."""

    def __init__(
        self,
        network: Network,
        view: LabelledView,
        rows: Tensor,
        config: SourceConfig,
        seed: int,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.network, self.view, self.rows = network, view, rows
        self.config, self.seed, self.autocast = config, seed, autocast

    def stage(self, name: str) -> TrainingStage:
        """Return the stage for the training loop."""
        steps = steps_per_epoch(len(self.rows), self.config.batch_size)
        return TrainingStage(
            name=name,
            epochs=self.config.epochs,
            steps=steps,
            modules={"network": self.network},
            optimizer=self._optimizer(),
            signals=self._steps,
            terms={"cross-entropy": (1.0, self._cross_entropy)},
            lr_factor=schedule(self.config.schedule, self.config.epochs * steps),
            seed=self.seed,
            autocast=self.autocast,
            rate="source.lr",
        )

    @torch.inference_mode()
    def accuracy(self, rows: Tensor) -> float:
        """Return the accuracy on ``rows`` in percent, with the test transform."""
        self.network.eval()
        logits = torch.cat([self.network(self.view.batch(part)).logits for part in torch.split(rows, 256)])
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
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=config.weight_decay)

    def _steps(self, epoch: int, generator: torch.Generator) -> Iterable[LabelledBatch]:
        del epoch
        self.network.train()
        for picked in batches(len(self.rows), self.config.batch_size, generator):
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
        return F.cross_entropy(logits, batch.labels, label_smoothing=self.config.label_smoothing)
