"""Aligner ``guided-labels``: the whole objective of PLUE; the formulas are in ``plue.py``.

It is one term, because its parts share the momentum model, the three views and the labels of the neighbours. Deviations
stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from sfda_kit import Aligner, UserError, positive_temperature
from sfda_kit_plue.losses import contrastive_loss, draw_complementary_labels, neighbour_labels, plue_loss
from sfda_kit_plue.memories import AnswerBank, KeyQueue, LabelHistory
from sfda_kit_plue.momentum import MomentumModel

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import Network, StepSignals


class GuidedLabels(Aligner):
    """L_cls + ``contrast`` L_ctr + ``diversity`` (L_div of the weak view + L_div of the strong one).

    Options: ``neighbors`` K (10), ``momentum`` m (0.999), ``bank`` the most entries of bank and of queue (16384),
    ``temperature`` t (0.07), ``epochs`` T of label history (5), ``contrast`` and ``diversity`` weights (1 each).
    """

    reads: ClassVar[tuple[str, ...]] = ("target_bank",)
    network: Network
    momentum_model: MomentumModel
    bank: AnswerBank
    queue: KeyQueue
    history: LabelHistory

    def __init__(
        self,
        neighbors: int = 10,
        momentum: float = 0.999,
        bank: int = 16384,
        temperature: float = 0.07,
        epochs: int = 5,
        contrast: float = 1.0,
        diversity: float = 1.0,
    ) -> None:
        if neighbors < 1 or epochs < 1 or bank < 2 or not 0 <= momentum < 1 or contrast < 0 or diversity < 0:
            raise UserError(
                f"guided-labels: got {neighbors=}, {epochs=}, {bank=}, {momentum=}, {contrast=}, {diversity=}; "
                "expected neighbors and epochs of at least 1, a bank of at least 2, momentum from 0 to below 1, and "
                "weights of 0 or more."
            )
        self.neighbors, self.momentum, self.entries, self.epochs = neighbors, momentum, bank, epochs
        self.contrast, self.diversity = contrast, diversity
        self.temperature = positive_temperature(temperature, "guided-labels")
        self._epoch = -1

    def check(self, network: nn.Module) -> None:
        """Raise ``UserError`` with a single class, because there is no other class to be wrong."""
        if network.class_count < 2:  # type: ignore[operator]
            raise UserError("guided-labels learns what an image is not, and there is one class. Give two or more.")

    def own_module(self, network: Network) -> nn.Module:
        """Create and return the momentum model, the bank, the queue and the history: state, no parameters."""
        self.network, self.momentum_model = network, MomentumModel(network, self.momentum)
        self.bank, self.queue = AnswerBank(), KeyQueue(network.feature_width)
        self.history = LabelHistory(self.epochs)
        parts = {"momentum": self.momentum_model, "bank": self.bank, "queue": self.queue, "history": self.history}
        return nn.ModuleDict(parts)

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar; gradients reach the network through its answers to the weak and to the first strong view."""
        if signals.epoch != self._epoch:
            self._begin_epoch(signals)
        features, logits = self.network.weighed(signals.target_features), signals.target_logits
        labels, weights = self._labels(features)
        strong = signals.answer(signals.draw_target_images("strong"))
        wrong = draw_complementary_labels(labels, logits.shape[1], signals.random)
        contrast = self.contrast * self._contrast(signals, strong.features, labels) if self.contrast else None
        self.bank.write(features, signals.target_probabilities)
        return plue_loss(logits, strong.logits, wrong, weights, contrast, self.diversity)

    def _begin_epoch(self, signals: StepSignals) -> None:
        """Make the bank anew; before the first epoch, make queue and history, too."""
        images, generator = len(signals.target_bank.features), signals.random
        size = min(self.entries, images)
        if self.neighbors > size:
            raise UserError(
                f"guided-labels.options.neighbors is {self.neighbors}, and the bank has {size} images. Give more "
                "images or a larger bank, or fewer neighbours: --set recipe.aligners.guided-labels.options.neighbors=1"
            )
        if not self.history.is_started:
            self.history.start(images, signals.target_bank.logits.shape[1], generator)
            self.queue.start(size, images, generator)
        self.bank.fill(signals.target_bank, torch.randperm(images, generator=generator)[:size])
        self._epoch = signals.epoch

    def _labels(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the labels y (B,) of images with ``features`` (B, D), and their weights w (B,)."""
        return neighbour_labels(features, self.bank.features, self.bank.probabilities, self.neighbors)

    def _contrast(self, signals: StepSignals, features: Tensor, labels: Tensor) -> Tensor:
        """Return L_ctr, 0-d, of ``features`` (B, D) of the strong view; then renew queue and history."""
        rows = signals.target_rows.to(features.device)
        queries = F.normalize(self.network.weighed(features), dim=1)
        keys = self._keys(signals)
        is_negative = self.history.differ(rows, self.queue.rows)
        # a copy of the queue, because it is renewed before the gradient reads it
        loss = contrastive_loss(queries, keys, self.queue.keys.clone(), is_negative, self.temperature)
        self.queue.write(keys, rows)
        self.history.record(rows, labels, signals.epoch)
        return loss

    @torch.no_grad()
    def _keys(self, signals: StepSignals) -> Tensor:
        """Renew the momentum model, and return its unit features of a second strong view, (B, D)."""
        self.momentum_model.follow(self.network)
        answer = signals.answer(signals.draw_target_images("strong"), self.momentum_model)
        return F.normalize(self.momentum_model.network.weighed(answer.features), dim=1)
