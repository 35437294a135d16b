"""Held-out source images: which they are, and which moment of the training of a source model they choose."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sfda_kit.models.network import Network
from sfda_kit.training.loop import seeded_generator

STILL_FALLING = 0.05
"""The fall of the training loss, as a share of its whole fall, that counts as still falling (``still_falling``)."""


def hold_out(groups: Tensor, share: float, seed: int, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return training rows and held-out rows. Whole groups with about ``share`` of the images are held out.

    Single images are held out where groups are so large that over half of the images would be held out. With ``labels``
    no image of a class is held out that would have none left to train on; where that leaves no image of a group, single
    images are held out, and none where each class has one image.
    """
    generator = seeded_generator(seed, "hold-out")
    order = torch.randperm(int(groups.max()) + 1, generator=generator)
    held_out = _trainable(_last(order[groups], share), labels)
    if 2 * held_out.sum() > len(groups) or not held_out.any():
        held_out = _trainable(_last(torch.randperm(len(groups), generator=generator), share), labels)
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def _trainable(held_out: Tensor, labels: Tensor | None) -> Tensor:
    """Return which rows are held out without those of a class that would have none left to train on."""
    return held_out if labels is None else held_out & torch.isin(labels, labels[~held_out])


def _last(rank: Tensor, share: float) -> Tensor:
    """Return which rows have the highest ranks, bool (N,). Rows of equal rank stay together."""
    by_rank = rank.sort().values
    held_out: Tensor = rank >= by_rank[int(len(by_rank) * (1 - share))]
    return held_out


class Course(nn.Module):
    """The course of a training: losses and held-out accuracies so far, and the weights at the best accuracy.

    It is a module so that the checkpoint of the training holds it, and a killed training chooses as an undisturbed one
    does. ``accuracies`` and ``losses``: (epochs,), NaN where there is none (yet).
    """

    accuracies: Tensor
    losses: Tensor

    def __init__(self, epochs: int, network: Network | None) -> None:
        """Begin a course of ``epochs``. ``network`` None: the last weights are the result, so none are kept."""
        super().__init__()
        self.register_buffer("accuracies", torch.full((epochs,), torch.nan))
        self.register_buffer("losses", torch.full((epochs,), torch.nan))
        self.best = None if network is None else copy.deepcopy(network).requires_grad_(False)

    def note(self, epoch: int, loss: float, accuracy: float | None, network: Network) -> None:
        """Note epoch ``epoch`` (from 1), and keep the weights if none were better. A tie goes to the later epoch."""
        self.losses[epoch - 1] = loss
        if accuracy is None:
            return
        self.accuracies[epoch - 1] = accuracy
        if self.best is not None and accuracy >= self.accuracies.nan_to_num(-1).max():
            self.best.load_state_dict(network.state_dict())

    def flat(self, patience: int) -> bool:
        """Return whether the last ``patience`` accuracies, all of the second half, were no better than one before."""
        seen = self.accuracies[~self.accuracies.isnan()]
        start = max(0, len(seen) - patience)
        before, recent = seen[:start], seen[start:]
        late = start >= len(self.accuracies) // 2
        return late and bool(recent.max() <= before.max())

    def result(self, network: Network) -> float:
        """Load the weights that are the result into ``network`` and return their held-out accuracy in percent."""
        seen = self.accuracies[~self.accuracies.isnan()]
        if self.best is None:
            return float(seen[-1])
        network.load_state_dict(self.best.state_dict())
        return float(seen.max())

    def still_falling(self) -> bool:
        """Return whether the mean loss of the last fifth lies below that of the fifth before by ``STILL_FALLING``.

        A fifth is at least one epoch. Of a single epoch nothing can be said.
        """
        losses = self.losses[~self.losses.isnan()]
        fifth = max(1, len(losses) // 5)
        if len(losses) < 2:
            return False
        last, before = losses[-fifth:].mean(), losses[-2 * fifth : -fifth].mean()
        return bool(before - last > STILL_FALLING * (losses[0] - losses.min()))
