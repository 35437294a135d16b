"""CoWA-JMDS: confidence weighting with the JMDS score and weight mixup.

Paper: Lee, Jung, Yim, Yoon, "Confidence Score for Source-Free Unsupervised Domain Adaptation", ICML 2022,
https://arxiv.org/abs/2206.06640

Equations (section 3; our notation), as the authors' code computes them. Images i of a batch have pseudo-labels y
(one-hot) and weights w from ``jmds``, renewed at the start of every epoch; o is a permutation of the batch, and each
image has its own share l_i ~ Beta(alpha, alpha):

    x'_i = l_i x_i + (1 - l_i) x_o(i),   y' and w' likewise
    L    = mean_i w'_i ( - sum_k y'_ik log(p(x'_i)_k + 1e-6) )

The 1e-6 bounds the loss of a certain mistake at 13.8 and takes its gradient away. Labels and weights carry no gradient.
The network sees the mixed images alone. Backbone, bottleneck and classifier train, the classifier at a tenth of the
bottleneck's rate. ``weighted-mixup`` is this loss, ``jmds`` gives the labels and weights. The labeler's own
cross-entropy has weight 0 here, because the mixed one replaces it.

Defaults: alpha = 0.2 (Office-Home), a constant rate. The presets have the values of each data set.

Deviations stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from sfda_kit import Aligner, Recipe, UserError, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2206.06640"
EPSILON = 1e-6


class WeightedMixup(Aligner):
    """``weighted_mixup_loss`` of the network's answers to mixed images. Option ``alpha`` (0.2); 0 mixes nothing."""

    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)

    def __init__(self, alpha: float = 0.2) -> None:
        self.alpha = _positive_alpha(alpha, "weighted-mixup")

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [0, 13.9]; gradients reach the adapting network through its answers to mixed images."""
        images = signals.target_images
        share, mate = draw_mixup(images, self.alpha, signals.random)
        logits = signals.answer(mixup(images, share, mate)).logits
        return weighted_mixup_loss(logits, signals.pseudo_labels, signals.pseudo_label_weights, share, mate)


def draw_mixup(images: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the share l_i ~ Beta(alpha, alpha), in [0, 1], of each of ``images`` (B, ...), and its mate o(i).

    Both are (B,), on the device of the images: shares of their type, mates int64, which are a random order of the
    batch. ``alpha`` 0 mixes nothing. ``generator`` is on the CPU. Raises ``UserError`` for ``alpha`` below 0.
    """
    _positive_alpha(alpha, "draw_mixup")
    mate = torch.randperm(len(images), generator=generator)
    return _draw_shares(len(images), alpha, generator).to(images), mate.to(images.device)


def _draw_shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    if alpha == 0:
        return torch.ones(count)
    # torch's own Beta distribution takes no generator; numpy's is fixed by a number drawn from ours.
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count))


def _positive_alpha(alpha: float, name: str) -> float:
    if alpha < 0:
        raise UserError(f"{name}: alpha is {alpha}, expected 0 (no mixing) or more.")
    return alpha


def mixup(values: Tensor, share: Tensor, mate: Tensor) -> Tensor:
    """Return l_i v_i + (1 - l_i) v_o(i), (B, ...), for values (B, ...), shares l (B,) and mates o, int64 (B,)."""
    part = share.view(-1, *[1] * (values.ndim - 1))
    return part * values + (1 - part) * values[mate]


def weighted_mixup_loss(logits: Tensor, labels: Tensor, weights: Tensor, share: Tensor, mate: Tensor) -> Tensor:
    """Return L in [0, 13.9] in nats, 0-d, for the network's ``logits`` (B, K) of mixed images.

    ``share`` and ``mate`` (B,) are those of ``draw_mixup`` with which ``mixup`` mixed the images. ``labels``, int64
    (B,), and ``weights``, (B,) in [0, 1], are those of the unmixed images, and are mixed here in the same way:

        L = mean_i w'_i ( - sum_k y'_ik log(softmax(logits_i)_k + 1e-6) )

    Raises ``UserError`` for other shapes. Source: CoWA-JMDS, ICML 2022 (https://arxiv.org/abs/2206.06640), section 3.
    """
    check_shapes(
        "weighted_mixup_loss",
        logits=(logits, "B K"),
        labels=(labels, "B"),
        weights=(weights, "B"),
        share=(share, "B"),
        mate=(mate, "B"),
    )
    targets = mixup(F.one_hot(labels, logits.shape[1]).to(logits), share, mate)
    return weighted_surprise(logits, targets, mixup(weights, share, mate))


def weighted_surprise(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return mean_i w_i (- sum_k y_ik log(p_ik + 1e-6)), 0-d, for logits and targets (B, K) and weights (B,)."""
    surprise = -(targets * (logits.softmax(dim=1) + EPSILON).log()).sum(dim=1)
    return (weights * surprise).mean()


COWA_JMDS = Recipe.model_validate(
    {
        "summary": "mixed images and pseudo-labels of a Gaussian mixture, weighted by confidence",
        "paper": PAPER,
        "aligners": {"weighted-mixup": 1.0},
        "labeler": {"name": "jmds", "weight": 0.0},
        "train": "backbone+bottleneck+classifier",
    }
)
