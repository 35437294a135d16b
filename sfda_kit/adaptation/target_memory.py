"""The target memory: the adapting network's last answer to every target image, kept across steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

    def __init__(self, images: int, features: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(images, features))
        self.register_buffer("probabilities", torch.zeros(images, classes))
        self.register_buffer("is_filled", torch.tensor(False))

    @classmethod
    def for_network(cls, network: Network, images: int) -> TargetMemory:
        """Return an empty memory of ``images`` rows, as wide as the network's answers and on its device."""
        memory = cls(images, network.feature_width, network.class_count)
        return memory.to(next(network.parameters()).device)

    def fill(self, bank: FeatureBank) -> None:
        """Store the answers of a pass over all N images."""
        self.write(torch.arange(len(self.features)), bank.features, bank.probabilities)
        self.is_filled.fill_(True)

    @torch.no_grad()
    def write(self, rows: Tensor, features: Tensor, probabilities: Tensor) -> None:
        """Replace ``rows`` (B,) by features (B, D), scaled to unit length here, and softmax outputs (B, K)."""
        rows = rows.to(self.features.device)
        self.features[rows] = F.normalize(features.detach().to(self.features), dim=1)
        self.probabilities[rows] = probabilities.detach().to(self.probabilities)
