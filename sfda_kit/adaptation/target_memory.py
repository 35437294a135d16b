"""The target memory: the adapting network's last answer to every target image, kept across steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit.adaptation.row_blocks import row_blocks, zero_rows

if TYPE_CHECKING:
    from sfda_kit.adaptation.feature_bank import FeatureBank
    from sfda_kit.models.network import Network


class TargetMemory(nn.Module):
    """A target memory holds unit ``features`` (N, D) and ``probabilities`` (N, K) in the order of the target view.

    A ``FeatureBank`` is one moment of one network; here each row is as old as the last batch that held its image. All
    values are buffers, so a checkpoint holds them and a resumed run continues with them.
    """

    features: Tensor
    probabilities: Tensor
    is_filled: Tensor

    def __init__(self, images: int, features: int, classes: int, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.register_buffer("features", zero_rows((images, features), device))
        self.register_buffer("probabilities", zero_rows((images, classes), device))
        self.register_buffer("is_filled", torch.tensor(False, device=device))

    @classmethod
    def for_network(cls, network: Network, images: int) -> TargetMemory:
        """Return an empty memory of ``images`` rows, as wide as the network's answers and on its device."""
        return cls(images, network.feature_width, network.class_count, next(network.parameters()).device)

    def fill(self, bank: FeatureBank) -> None:
        """Store the answers of a pass over all N images."""
        for block in row_blocks(len(self.features)):
            rows = torch.arange(block.start, block.stop)
            self.write(rows, bank.features[block], bank.probabilities[block])
        self.is_filled.fill_(True)

    @torch.no_grad()
    def write(self, rows: Tensor, features: Tensor, probabilities: Tensor) -> None:
        """Replace ``rows`` (B,) by features (B, D), scaled to unit length here, and softmax outputs (B, K)."""
        rows = rows.to(self.features.device)
        self.features[rows] = F.normalize(features.detach().to(self.features), dim=1)
        self.probabilities[rows] = probabilities.detach().to(self.probabilities)
