"""Images of a view as augmentation shows them, alike at every pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sfda_kit.data.views import GeometryKind, ImageView


class AugmentedView:
    """Each image of ``view`` under one random geometry of its own, drawn once from ``seed``.

    No global random state is touched, so a look through it changes no training.
    """

    def __init__(self, view: ImageView, kind: GeometryKind, seed: int) -> None:
        self.view = view
        self.geometry = view.draw_geometry(len(view), kind, torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.view)

    def batch(self, rows: Tensor) -> Tensor:
        """(B, 3, size, size), normalised for the source model."""
        return self.view.batch(rows, self.geometry.at(rows))
