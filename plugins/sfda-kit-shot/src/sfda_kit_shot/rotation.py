"""Aligner ``relative-rotation``: the network learns by how many quarters a copy has been turned.

Source: Liang, Hu, Wang, He, Feng, "Source Data-absent Unsupervised Domain Adaptation through Hypothesis Transfer and
Labeling Transfer", TPAMI 2021 (https://arxiv.org/abs/2012.07297), section 3.3.

Equation (our notation). x_i: an image of the batch, R_z x: x turned by z quarters, z_i: drawn from {0, 1, 2, 3}, f:
bottleneck features, h: a linear head with four outputs (Xavier-normal weights, bias 0 at first),

    L = mean_i CE(z_i, h([f(x_i), f(R_z_i x_i)]))

The head gets both feature vectors, so that an object without an upright pose is no contradiction: the rotation is
relative, not absolute. No gradient goes through f(x_i). The term makes two passes of its own, f(x_i) first. Where the
network trains, BatchNorm's running statistics take in both, beside the pass of the other terms. In a phase that trains
nothing of the network, f is that of evaluation mode and only the head learns. The head learns at ``adapt.lr``.

There is no option. Deviations stand in the declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from sfda_kit import Aligner, UserError, check_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from sfda_kit import Network, StepSignals

QUARTERS = 4


class RelativeRotation(Aligner):
    """``relative_rotation_loss`` of a head that sees the features of an image and of its turned copy."""

    head: nn.Module

    def own_module(self, network: Network) -> nn.Module:
        """Create and return the head h: both features (B, 2 D) -> logits (B, 4)."""
        head = nn.Linear(2 * network.feature_width, QUARTERS)
        nn.init.xavier_normal_(head.weight)
        nn.init.zeros_(head.bias)
        self.head = head
        return head

    def __call__(self, signals: StepSignals) -> Tensor:
        """Return a scalar >= 0, log 4 for a head that cannot tell. Gradients reach the network and the head."""
        images = signals.target_images
        copies, quarters = draw_rotations(images, signals.random)
        with torch.no_grad():
            upright = signals.answer(images).features
        turned = signals.answer(copies).features
        return relative_rotation_loss(self.head(torch.cat([upright, turned], dim=1)), quarters)


def draw_rotations(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return square ``images`` (B, C, S, S), each turned by its number of quarters, and these numbers, int64 (B,).

    The numbers are drawn from {0, 1, 2, 3}; ``generator`` is on the CPU. Raises ``UserError`` for another shape.
    """
    check_shapes("draw_rotations", images=(images, "B C S S"))
    quarters = torch.randint(QUARTERS, (len(images),), generator=generator).to(images.device)
    return turn(images, quarters), quarters


def relative_rotation_loss(logits: Tensor, quarters: Tensor) -> Tensor:
    """Return mean_i CE(z_i, softmax(logits_i)) >= 0 in nats, 0-d; log 4 where the head cannot tell.

    ``quarters`` z, int64 (B,), are those of ``draw_rotations``. ``logits`` (B, 4) are the answers of a head to the
    features of each image beside those of its turned copy, ``head(torch.cat([upright.detach(), turned], dim=1))``: the
    published form lets no gradient through the upright ones. Raises ``UserError`` for other shapes. Source: SHOT++,
    TPAMI 2021 (https://arxiv.org/abs/2012.07297), section 3.3.
    """
    check_shapes("relative_rotation_loss", logits=(logits, "B K"), quarters=(quarters, "B"))
    if logits.shape[1] != QUARTERS:
        raise UserError(f"relative_rotation_loss has four classes, and the head gives {logits.shape[1]} logits.")
    return F.cross_entropy(logits, quarters)


def turn(images: Tensor, quarters: Tensor) -> Tensor:
    """Turn each of the square images (B, C, S, S) anticlockwise by its number of quarters (B,)."""
    # Compute all four turns and take one: a choice by mask would make an accelerator wait for its size.
    turns = torch.stack([torch.rot90(images, number, (2, 3)) for number in range(QUARTERS)])
    turned = turns[quarters, torch.arange(len(images), device=images.device)]
    return turned.contiguous(memory_format=torch.channels_last)
