"""Aligner ``mixmatch``: semi-supervised learning from labelled and unlabelled images, mixed.

Source: Berthelot, Carlini, Goodfellow, Papernot, Oliver, Raffel, "MixMatch: A Holistic Approach to Semi-Supervised
Learning", NeurIPS 2019 (https://arxiv.org/abs/1905.02249), algorithm 1 and equations 2 to 5.

Equations (our notation). Of the batch, X are the images whose pseudo-label has a weight above 0, with their labels as
one-hot targets; U are ``views`` V views of each of the others. There are C classes, and T is the temperature.

    guess of an image of U: q_c ~ (mean over its views of p_c)^(1/T), scaled to sum 1, without gradient
    each (x, y) of X and U with a mate (x', y') of both:   l ~ Beta(alpha, alpha), l' = max(l, 1 - l)
        x <- l' x + (1 - l') x',   y <- l' y + (1 - l') y'
    L = mean over X of CE(y, p(x))  +  w mean over U of |y - p(x)|^2 / C
    w = ``unlabelled_weight`` times the share of the phase's steps done

The labeler's answer when the phase first sees an image decides its label and whether it has one: a labelled set stays
what it is. With ``keep_labels`` false the labeler decides anew in each epoch; such labels follow the network's errors.

Defaults: T = 0.5, V = 2, alpha = 0.75, unlabelled weight 100 (the paper's starting points).

Deviations: X and U share one batch in the proportion that the labels have in it, instead of two batches of one size, so
that each image is used once an epoch. w rises during the whole phase [ours; the paper: 16 000 steps].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import Aligner, UserError, positive_temperature
from sfda_kit_shot.first_labels import FirstLabels

if TYPE_CHECKING:
    from sfda_kit import Network, StepSignals


class MixMatch(Aligner):
    """L of the module docstring. The options are explained there."""

    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)
    kept: FirstLabels

    def __init__(
        self,
        alpha: float = 0.75,
        temperature: float = 0.5,
        views: int = 2,
        unlabelled_weight: float = 100.0,
        keep_labels: bool = True,
    ) -> None:
        if not alpha > 0 or views < 1 or unlabelled_weight < 0:
            raise UserError(
                f"mixmatch: got alpha={alpha!r}, views={views!r}, unlabelled_weight={unlabelled_weight!r}; expected "
                "alpha above 0, views of at least 1 and an unlabelled_weight of 0 or more."
            )
        self.alpha, self.views, self.unlabelled_weight, self.keep_labels = alpha, views, unlabelled_weight, keep_labels
        self.temperature = positive_temperature(temperature, "mixmatch")

    def own_module(self, network: Network) -> nn.Module | None:
        """Return the store of kept labels, or None without ``keep_labels``."""
        del network
        self.kept = FirstLabels()
        return self.kept if self.keep_labels else None

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the network through its answers to mixed images."""
        given, is_easy = signals.pseudo_labels, signals.pseudo_label_weights > 0
        if self.keep_labels:
            given, is_easy = self.kept(signals.target_rows.to(given.device), given, is_easy)
        views = [signals.target_images, *(signals.draw_target_images() for _ in range(self.views - 1))]
        hard = sharpen(self._guess(signals, views[1:])[~is_easy], self.temperature)
        labels = F.one_hot(given[is_easy], hard.shape[1]).to(hard)
        images = torch.cat([views[0][is_easy], *(view[~is_easy] for view in views)])
        targets = torch.cat([labels, hard.repeat(self.views, 1)])
        share = self.shares(len(images), signals.random).to(images)
        mate = torch.randperm(len(images), generator=signals.random).to(images.device)
        logits = signals.answer(mix(images, share, mate)).logits
        weight = self.unlabelled_weight * signals.progress
        return mixmatch_loss(logits, mix(targets, share, mate), len(labels), weight)

    @staticmethod
    def _guess(signals: StepSignals, others: list[Tensor]) -> Tensor:
        """Return the mean softmax of all images' views, (B, C), detached; one hard image has no batch statistics."""
        with torch.no_grad():
            answers = [signals.answer(view).logits.softmax(dim=1) for view in others]
        return torch.stack([signals.target_probabilities.detach(), *answers]).mean(dim=0)

    def shares(self, count: int, generator: torch.Generator) -> Tensor:
        """Return l' of each image, (count,), in [1/2, 1]."""
        # torch's own Beta distribution takes no generator; numpy's is fixed by a number drawn from ours.
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        drawn = np.random.default_rng(seed).beta(self.alpha, self.alpha, count)
        return torch.from_numpy(np.maximum(drawn, 1 - drawn))


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Return p_c^(1/T) scaled to sum 1, (N, C); the entropy falls with T."""
    return (probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log() / temperature).softmax(dim=1)


def mix(values: Tensor, share: Tensor, mate: Tensor) -> Tensor:
    """Return ``share`` (N,) of each of ``values`` (N, ...) plus the rest of its ``mate``, int64 (N,)."""
    part = share.to(values.dtype).view(-1, *[1] * (values.ndim - 1))
    return part * values + (1 - part) * values[mate]


def mixmatch_loss(logits: Tensor, targets: Tensor, labelled: int, weight: float) -> Tensor:
    """Return L from logits and mixed targets (N, C); the first ``labelled`` rows are X; a part without images is 0."""
    surprise = -(targets[:labelled] * logits[:labelled].log_softmax(dim=1)).sum()
    error = (targets[labelled:] - logits[labelled:].softmax(dim=1)).square().mean(dim=1).sum()
    return surprise / max(1, labelled) + weight * error / max(1, len(logits) - labelled)
