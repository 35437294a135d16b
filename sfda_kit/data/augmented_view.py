"""The images of a view under random augmentation that stays the same on every pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sfda_kit.data.views import GeometryKind, ImageView


class AugmentedView:
    """Each image of ``view`` has one random geometry drawn from ``seed``, without use of the global random state."""

    def __init__(self, view: ImageView, kind: GeometryKind, seed: int) -> None:
        self.view = view
        self.geometry = view.draw_geometry(len(view), kind, torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.view)

    def batch(self, rows: Tensor) -> Tensor:
        """Return the images of ``rows``, (B, 3, size, size), normalised for the source model."""
        return self.view.batch(rows, self.geometry.at(rows))
