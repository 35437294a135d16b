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

from sfda_kit import Aligner, Recipe, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2206.06640"
EPSILON = 1e-6


class WeightedMixup(Aligner):
    """The loss on mixed images (module docstring). Option ``alpha`` (0.2); 0 mixes nothing."""

    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)

    def __init__(self, alpha: float = 0.2) -> None:
        if alpha < 0:
            raise UserError(f"weighted-mixup: alpha is {alpha}, expected 0 (no mixing) or more.")
        self.alpha = alpha

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar in [0, 13.9]; gradients reach the adapting network through its answers to mixed images."""
        images = signals.target_images
        mate = torch.randperm(len(images), generator=signals.random).to(images.device)
        share = self.shares(len(images), signals.random).to(images)
        logits = signals.answer(mix(images, share, mate)).logits
        targets = mix(F.one_hot(signals.pseudo_labels, logits.shape[1]).to(logits), share, mate)
        return weighted_surprise(logits, targets, mix(signals.pseudo_label_weights, share, mate))

    def shares(self, count: int, generator: torch.Generator) -> Tensor:
        """Return l of each image, (count,), in [0, 1]."""
        if self.alpha == 0:
            return torch.ones(count)
        # torch's own Beta distribution takes no generator; numpy's is fixed by a number drawn from ours.
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        return torch.from_numpy(np.random.default_rng(seed).beta(self.alpha, self.alpha, count))


def mix(values: Tensor, share: Tensor, mate: Tensor) -> Tensor:
    """Return l_i v_i + (1 - l_i) v_o(i) for values (B, ...), shares l (B,) and mates o (B,)."""
    part = share.view(-1, *[1] * (values.ndim - 1))
    return part * values + (1 - part) * values[mate]


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
