"""A codebook: each position of an encoded image becomes the nearest of K vectors.

Source: van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017
(https://arxiv.org/abs/1711.00937), equations 1 to 3. For encoder outputs z and their nearest codes e:

    L = mean (sg[z] - e)^2 + commitment * mean (z - sg[e])^2          sg: no gradient

The first part moves codes to what the encoder gives (k-means by gradient descent), the second keeps the encoder near
its codes; the paper's commitment is 0.25. The decoder's gradient passes the codebook unchanged (straight-through).

Codes learn by this loss and not by moving averages (the paper's appendix A.1): the one optimiser of a bridge trains
them too, its weight is a number in the objective, and a forward pass changes nothing.

Dead codes: with K vectors and few images many codes are never the nearest, and then never move. ``usage`` is a moving
average of the share of positions that each code gets. A code that falls below ``REVIVED_BELOW`` of an equal share is
moved to an encoder output of the batch, drawn at random (Dhariwal et al., Jukebox, https://arxiv.org/abs/2005.00341,
section 3.1); in the first batch all codes are. Squared errors are averaged over the vector too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit import without_autocast

DECAY = 0.95
REVIVED_BELOW = 0.03


class Codebook(nn.Module):
    """A codebook has K = ``count`` codes of ``size`` numbers; ``usage`` (K,) sums to 1 once it has settled."""

    usage: Tensor

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(count, size))
        self.register_buffer("usage", torch.zeros(count))

    def nearest(self, points: Tensor) -> Tensor:
        """Return the index of the nearest code, int64 (N,), for points (N, size); the first one of equals."""
        codes = self.codes.detach()
        with torch.no_grad(), without_autocast(points.device):
            products = points.detach().to(codes.dtype) @ codes.T
            return (codes.square().sum(dim=1) - 2 * products).argmin(dim=1)

    def forward(self, encoded: Tensor) -> Tensor:
        """Return the nearest codes in place of ``encoded`` (B, size, h, w); the gradient is that of ``encoded``."""
        points = _points(encoded)
        codes = self.codes.detach()[self.nearest(points)]
        quantised = points + (codes - points).detach()
        return quantised.reshape(encoded.movedim(1, 3).shape).movedim(3, 1)

    def loss(self, encoded: Tensor, commitment: float) -> Tensor:
        """Return L of the module docstring, 0-d, for encoder outputs (B, size, h, w)."""
        points = _points(encoded)
        codes = self.codes[self.nearest(points)]
        return F.mse_loss(codes, points.detach()) + commitment * F.mse_loss(points, codes.detach())

    @torch.no_grad()
    def renew(self, encoded: Tensor, generator: torch.Generator) -> None:
        """Count which codes ``encoded`` (B, size, h, w) uses, and move dead ones to some of its positions."""
        points, count = _points(encoded).detach().to(self.codes.dtype), len(self.codes)
        is_new = self.usage.sum() == 0
        found = self.nearest(points)
        shares = torch.zeros_like(self.usage).index_add_(0, found, torch.ones_like(found, dtype=self.usage.dtype))
        self.usage.lerp_(shares / len(points), 1 - DECAY)
        dead = (self.usage < REVIVED_BELOW / count) | is_new
        # Draw one candidate per code, used or not: to count the dead codes would stall an accelerator.
        rows = torch.randperm(len(points), generator=generator)[torch.arange(count) % len(points)]
        self.codes.copy_(torch.where(dead[:, None], points[rows.to(points.device)], self.codes))
        self.usage.masked_fill_(dead, 1 / count)

    def figures(self) -> dict[str, float]:
        """Return codes in use and perplexity of the usage (100: all alike; near 0: one code), in percent."""
        count = len(self.usage)
        shares = self.usage / self.usage.sum().clamp_min(torch.finfo(self.usage.dtype).tiny)
        perplexity = torch.special.entr(shares).sum().exp()
        used = (self.usage >= REVIVED_BELOW / count).sum()
        return {"codes_used": 100 * float(used) / count, "code_perplexity": 100 * float(perplexity) / count}


def _points(encoded: Tensor) -> Tensor:
    return encoded.movedim(1, 3).reshape(-1, encoded.shape[1])
