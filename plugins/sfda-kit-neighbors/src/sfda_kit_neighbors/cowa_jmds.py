"""CoWA-JMDS: confidence weighting with the JMDS score and weight mixup.

Paper: Lee, Jung, Yim, Yoon, "Confidence Score for Source-Free Unsupervised Domain Adaptation", ICML 2022,
https://arxiv.org/abs/2206.06640

Equations (section 3; our notation). Images i of a batch have pseudo-labels y and weights w from ``jmds``, renewed at
the start of every epoch; j is a mate of the same batch, and g ~ Beta(alpha, alpha):

    x' = g x_i + (1 - g) x_j,   y' = g y_i + (1 - g) y_j,   w' = g w_i + (1 - g) w_j
    L  = mean_i w' CE(y', p(x'))

The classifier is frozen. ``weighted-mixup`` is this loss, ``jmds`` gives the labels and weights. The labeler's own
cross-entropy has weight 0 here, because the mixed one replaces it.

Defaults: alpha = 0.2 [ours: the paper's value for each data set is not known to us].

Deviations: g is drawn for each image, and the mate is a permutation of the batch [ours: the paper leaves both open].
Images are mixed as the network's input bridge takes them: encoded and normalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from sfda_kit import Aligner, Recipe, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import StepSignals

PAPER = "https://arxiv.org/abs/2206.06640"


class WeightedMixup(Aligner):
    """mean_i w' CE(y', p(x')) (module docstring). Option ``alpha`` (0.2); 0 mixes nothing."""

    reads: ClassVar[tuple[str, ...]] = ("pseudo_labels",)

    def __init__(self, alpha: float = 0.2) -> None:
        if alpha < 0:
            raise UserError(f"weighted-mixup: alpha is {alpha}, expected 0 (no mixing) or more.")
        self.alpha = alpha

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0; gradients reach the adapting network through its answers to mixed images."""
        images = signals.target_images
        mate = torch.randperm(len(images), generator=signals.random).to(images.device)
        share = self.shares(len(images), signals.random).to(images)
        part = share[:, None, None, None]
        logits = signals.answer(part * images + (1 - part) * images[mate]).logits
        return mixed_loss(logits, share, signals.pseudo_labels, signals.pseudo_label_weights, mate)

    def shares(self, count: int, generator: torch.Generator) -> Tensor:
        """Return g of each image, (count,), in [0, 1]."""
        if self.alpha == 0:
            return torch.ones(count)
        # torch's own Beta distribution takes no generator; numpy's is fixed by a number drawn from ours.
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        return torch.from_numpy(np.random.default_rng(seed).beta(self.alpha, self.alpha, count))


def mixed_loss(logits: Tensor, share: Tensor, labels: Tensor, weights: Tensor, mate: Tensor) -> Tensor:
    """Return mean_i w' CE(y', p) for logits (B, C) of mixed images; share, labels, weights and mate are (B,)."""
    surprise = -logits.log_softmax(dim=1)
    losses = share * _of(surprise, labels) + (1 - share) * _of(surprise, labels[mate])
    mixed_weights = share * weights + (1 - share) * weights[mate]
    return (mixed_weights * losses).mean()


def _of(surprise: Tensor, labels: Tensor) -> Tensor:
    return surprise.gather(1, labels[:, None])[:, 0]


COWA_JMDS = Recipe.model_validate(
    {
        "summary": "mixed images and pseudo-labels of a Gaussian mixture, weighted by confidence",
        "paper": PAPER,
        "aligners": {"weighted-mixup": 1.0},
        "labeler": {"name": "jmds", "weight": 0.0},
    }
)
