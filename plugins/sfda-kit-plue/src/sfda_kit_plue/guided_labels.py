"""Aligner ``guided-labels``: the whole objective of PLUE; formulas and deviations are in ``plue.py``.

It is one term, because its parts share the momentum model, the three views and the labels of the neighbours. In the
phase, ``memory`` then holds the momentum model's answers, for every term that reads it after this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from sfda_kit import Aligner, UserError, entropy, positive_temperature, without_autocast
from sfda_kit_plue.label_history import LabelHistory
from sfda_kit_plue.losses import certainty, complementary, contrastive, negative_learning, neighbour_vote
from sfda_kit_plue.momentum import MomentumModel

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import Network, StepSignals, TargetMemory


class GuidedLabels(Aligner):
    """L_cls + ``contrast`` L_ctr + ``diversity`` L_div.

    Options: ``neighbors`` K (10), ``momentum`` m (0.99), ``bank`` images compared with in a step (16384),
    ``temperature`` t (0.07), ``epochs`` T of label history (5), ``contrast`` and ``diversity`` weights (1 each).
    """

    reads: ClassVar[tuple[str, ...]] = ("memory",)
    network: Network
    momentum_model: MomentumModel
    history: LabelHistory

    def __init__(
        self,
        neighbors: int = 10,
        momentum: float = 0.99,
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
        self.neighbors, self.momentum, self.bank, self.epochs = neighbors, momentum, bank, epochs
        self.contrast, self.diversity = contrast, diversity
        self.temperature = positive_temperature(temperature, "guided-labels")

    def check(self, network: nn.Module) -> None:
        """Raise ``UserError`` with a single class, because there is no other class to be wrong."""
        if network.class_count < 2:  # type: ignore[operator]
            raise UserError("guided-labels learns what an image is not, and there is one class. Give two or more.")

    def own_module(self, network: Network) -> nn.Module:
        """Create and return the momentum model and the label history: state, no parameters."""
        self.network, self.momentum_model = network, MomentumModel(network, self.momentum)
        self.history = LabelHistory(self.epochs)
        return nn.ModuleDict({"momentum": self.momentum_model, "history": self.history})

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar; gradients reach the network through its answer to a strong view alone."""
        memory, rows = signals.memory, signals.target_rows.to(signals.target_features.device)
        strong, other = signals.draw_target_images("strong"), signals.draw_target_images("strong")
        keys = self._renew(signals, memory, rows, other)
        compared = self._compared(len(memory.features), signals.random).to(rows.device)
        labels, weights = self._labels(memory, rows, compared)
        self.history.record(rows, labels)
        answer = signals.answer(strong, keep_statistics=True)
        wrong = complementary(labels, answer.logits.shape[1], signals.random)
        loss = negative_learning(answer.logits, wrong, weights)
        if self.contrast:
            left_out = self.history.agree(rows, compared) | (rows[:, None] == compared)
            queries = F.normalize(self.network.weighed(answer.features), dim=1)
            with without_autocast(queries.device):
                negatives = memory.features[compared]
                loss = loss + self.contrast * contrastive(queries, keys, negatives, left_out, self.temperature)
        return loss - self.diversity * entropy(answer.logits.softmax(dim=1).mean(dim=0))

    @torch.no_grad()
    def _renew(self, signals: StepSignals, memory: TargetMemory, rows: Tensor, other: Tensor) -> Tensor:
        """Renew momentum model, bank and label history for this step; return the ``other`` views' keys, (B, D)."""
        if not self.history.is_started:
            self.history.start(memory.probabilities.argmax(dim=1))
        model = self.momentum_model
        model.follow(self.network)
        weak, key = (signals.answer(images, model, keep_statistics=True) for images in (signals.target_images, other))
        memory.write(rows, model.network.weighed(weak.features), weak.logits.softmax(dim=1))
        return F.normalize(model.network.weighed(key.features), dim=1)

    def _compared(self, images: int, generator: torch.Generator) -> Tensor:
        """Return the rows of the bank for this step: all, or as many as ``bank``, drawn anew."""
        return torch.arange(images) if images <= self.bank else torch.randperm(images, generator=generator)[: self.bank]

    @torch.no_grad()
    def _labels(self, memory: TargetMemory, rows: Tensor, compared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the labels y (B,) and their weights w (B,)."""
        # An image of the batch may be among those compared with, so one more than the neighbours is needed.
        if self.neighbors >= len(compared):
            raise UserError(
                f"guided-labels.options.neighbors is {self.neighbors}, and each image is compared with "
                f"{len(compared) - 1} others. Give more images or a larger bank, or fewer neighbours: "
                "--set recipe.aligners.guided-labels.options.neighbors=1"
            )
        with without_autocast(rows.device):
            similarity = memory.features[rows] @ memory.features[compared].T
        similarity = similarity.masked_fill(rows[:, None] == compared, -torch.inf)
        vote = neighbour_vote(similarity, memory.probabilities[compared], self.neighbors)
        return vote.argmax(dim=1), certainty(vote)
