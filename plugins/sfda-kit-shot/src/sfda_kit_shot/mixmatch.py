"""Aligner ``mixmatch``: semi-supervised learning from labelled and unlabelled images, mixed.

Source: Berthelot, Carlini, Goodfellow, Papernot, Oliver, Raffel, "MixMatch: A Holistic Approach to Semi-Supervised
Learning", NeurIPS 2019 (https://arxiv.org/abs/1905.02249), algorithm 1 and equations 2 to 5, as the authors of SHOT++
(https://arxiv.org/abs/2012.07297, section 3.4) use it.

Equations (our notation). The images whose pseudo-label has a weight above 0 are labelled, the others are not. A step
takes B of each: one view X of the labelled ones, with their labels y as one-hot targets, and two views U, U' of the
others. There are K classes, and T is the temperature.

    guess of an image without a label: q_c ~ (mean over both views of p_c)^(1/T), scaled to sum 1, without gradient
    l ~ Beta(alpha, alpha), l' = max(l, 1 - l), one number for the whole step
    each of the 3 B images x with its target y, and its mate (x', y') in a random order of them:
        x <- l' x + (1 - l') x',   y <- l' y + (1 - l') y'
    L = mean over X of CE(y, p(x))  +  w mean over the 2 B K entries of U and U' of (y - p(x))^2
    w = ``unlabelled_weight`` times t / T_steps, in step t (from 1) of the phase's T_steps

The network answers both views for the guess, and then the mixed images in three passes of B. Each pass has a part of
each of X, U and U' (``passes``), so that BatchNorm sees mixtures.

Which images are labelled, and as what, is what the labeler says before the first step of the phase.

Defaults: T = 0.5, alpha = 0.75, unlabelled weight 100. ``batch``: B; null means that of the run. Deviations stand in
the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import Aligner, UserError, check_shapes, positive_temperature
from sfda_kit_shot.two_parts import TwoParts

if TYPE_CHECKING:
    from sfda_kit import Network, StepSignals


class MixMatch(Aligner):
    """L of the module docstring. The options are explained there."""

    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)
    parts: TwoParts

    def __init__(
        self,
        alpha: float = 0.75,
        temperature: float = 0.5,
        unlabelled_weight: float = 100.0,
        batch: int | None = None,
    ) -> None:
        if not alpha > 0 or unlabelled_weight < 0 or (batch is not None and batch < 2):
            raise UserError(
                f"mixmatch: got alpha={alpha!r}, unlabelled_weight={unlabelled_weight!r}, batch={batch!r}; expected "
                "alpha above 0, an unlabelled_weight of 0 or more, and a batch of at least 2 or null for the run's."
            )
        self.alpha, self.unlabelled_weight, self.batch = alpha, unlabelled_weight, batch
        self.temperature = positive_temperature(temperature, "mixmatch")

    def own_module(self, network: Network) -> nn.Module:
        """Return the store of the two parts; nothing in it is trained."""
        self.classes = network.class_count
        self.parts = TwoParts()
        return self.parts

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the network through its answers to mixed images."""
        if not self.parts.is_divided:
            self.parts.divide(signals.all_pseudo_labels, self.batch or len(signals.target_rows), signals.random)
        rows = self.parts(signals.step)
        views, targets = self._labelled(signals, rows.labelled, rows.labels)
        for view, guess in self._unlabelled(signals, rows.unlabelled):
            views, targets = [*views, view], [*targets, guess]
        mixed, soft = mixmatch_mixup(torch.cat(views), torch.cat(targets), self.alpha, signals.random)
        order = passes(len(views), len(views[0])).to(mixed.device)
        logits = torch.cat([signals.answer(mixed[part]).logits for part in order])[order.flatten().argsort()]
        weight = self.unlabelled_weight * (signals.step + 1) / signals.steps
        return mixmatch_loss(logits, soft, len(rows.labelled), weight)

    def _labelled(self, signals: StepSignals, rows: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the view of labelled rows and their one-hot targets (B, K), each in a list; no rows give none."""
        if not len(rows):
            return [], []
        view = signals.draw_target_images(rows=rows)
        return [view], [F.one_hot(labels.to(view.device), self.classes).to(view.dtype)]

    def _unlabelled(self, signals: StepSignals, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return both views of ``rows`` with the sharpened mean answer (B, K) of the two; no rows give none."""
        if not len(rows):
            return []
        views = [signals.draw_target_images(rows=rows) for _ in range(2)]
        with torch.no_grad():
            answers = [signals.answer(view).logits.softmax(dim=1) for view in views]
        guess = sharpen(torch.stack(answers).mean(dim=0), self.temperature)
        return [(view, guess) for view in views]


def mixmatch_mixup(images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return ``images`` (N, ...) and ``targets`` (N, K), each mixed with those of a mate in a random order.

    One l ~ Beta(alpha, alpha) is drawn for all of them. Each keeps the share max(l, 1 - l). ``generator`` is on the
    CPU. Raises ``UserError`` for other shapes and unless ``alpha`` is above 0. Source: MixMatch, NeurIPS 2019
    (https://arxiv.org/abs/1905.02249), equations 8 to 11.
    """
    if len(images) != len(targets) or targets.ndim != 2 or not alpha > 0:
        raise UserError(
            f"mixmatch_mixup: got images of shape {tuple(images.shape)}, targets of shape {tuple(targets.shape)} and "
            f"alpha={alpha!r}; expected (N, ...), (N, K) and alpha above 0."
        )
    share, mate = draw(len(images), alpha, generator)
    return mix(images, share, mate.to(images.device)), mix(targets, share, mate.to(targets.device))


def draw(count: int, alpha: float, generator: torch.Generator) -> tuple[float, Tensor]:
    """Return l' in [1/2, 1] and the mates, a random order of ``count`` images."""
    # torch's own Beta distribution takes no generator; numpy's is fixed by a number drawn from ours.
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    drawn = float(np.random.default_rng(seed).beta(alpha, alpha))
    return max(drawn, 1 - drawn), torch.randperm(count, generator=generator)


def sharpen(probabilities: Tensor, temperature: float = 0.5) -> Tensor:
    """Return p_c^(1/T) scaled to sum 1, (N, K), for ``probabilities`` (N, K); the entropy falls with T.

    MixMatch sharpens the mean softmax over two views of an image without a label. Raises ``UserError`` for another
    shape and unless ``temperature`` T is greater than 0. Source: MixMatch, NeurIPS 2019
    (https://arxiv.org/abs/1905.02249), equation 7.
    """
    check_shapes("sharpen", probabilities=(probabilities, "N K"))
    positive_temperature(temperature, "sharpen")
    return (probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log() / temperature).softmax(dim=1)


def mix(values: Tensor, share: float, mate: Tensor) -> Tensor:
    """Return ``share`` of each of ``values`` (N, ...) plus the rest of its ``mate``, int64 (N,)."""
    return share * values + (1 - share) * values[mate]


def passes(stacks: int, size: int) -> Tensor:
    """Return which of ``stacks`` times ``size`` images is where in each pass, int64 (stacks, size).

    [0, size) is cut into as many parts as there are stacks; the last parts take what is left over. Part s of the first
    stack and part s of stack s are exchanged. Exchanging them again puts the answers back.
    """
    order = torch.arange(stacks * size).view(stacks, size)
    edges = part_edges(stacks, size)
    for stack in range(1, stacks):
        part = slice(edges[stack], edges[stack + 1])
        order[0, part], order[stack, part] = order[stack, part].clone(), order[0, part].clone()
    return order


def part_edges(parts: int, size: int) -> list[int]:
    """Return where each of ``parts`` begins in [0, size), and ``size``; the last parts are the larger ones."""
    short, larger = divmod(size, parts)
    sizes = [short + (number >= parts - larger) for number in range(parts)]
    return [sum(sizes[:number]) for number in range(parts + 1)]


def mixmatch_loss(logits: Tensor, targets: Tensor, labelled: int, weight: float) -> Tensor:
    """Return L >= 0, 0-d, for ``logits`` (N, K) of mixed images and ``targets`` y (N, K) that are mixed alike.

    ``mixmatch_mixup`` mixes both. The first ``labelled`` rows X are those with labels, the others U have none:

        L = mean over X of CE(y, p)  +  ``weight`` times mean over U and the K classes of (y - p)^2

    with the softmax p. A part without rows counts 0. Raises ``UserError`` for other shapes, and for ``labelled`` out of
    [0, N]. Source: MixMatch, NeurIPS 2019 (https://arxiv.org/abs/1905.02249), equations 2 to 5.
    """
    check_shapes("mixmatch_loss", logits=(logits, "N K"), targets=(targets, "N K"))
    if not 0 <= labelled <= len(logits):
        raise UserError(f"mixmatch_loss: labelled is {labelled}, expected from 0 to the {len(logits)} rows of logits.")
    surprise = -(targets[:labelled] * logits[:labelled].log_softmax(dim=1)).sum()
    error = (targets[labelled:] - logits[labelled:].softmax(dim=1)).square().mean(dim=1).sum()
    return surprise / max(1, labelled) + weight * error / max(1, len(logits) - labelled)
