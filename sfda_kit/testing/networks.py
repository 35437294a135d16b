"""Small random networks with all that a term may look at: BatchNorm, a bottleneck, shallow stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sfda_kit.models.network import Network, frozen_copy

SIDE = 16
CLASSES = 3


class SmallBackbone(nn.Module):
    """Two convolutions with BatchNorm map (B, 3, H, W) to (B, 8), with the attributes of timm backbones."""

    num_features = 8

    def __init__(self, batch_norm: bool = True) -> None:
        super().__init__()
        self.stem = _stage(3, 4, batch_norm)
        self.stage = _stage(4, 8, batch_norm)
        self.feature_info: list[dict[str, Any]] = [
            {"module": "stem", "num_chs": 4, "reduction": 2},
            {"module": "stage", "num_chs": 8, "reduction": 4},
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features, (B, 8)."""
        maps: Tensor = self.stage(self.stem(images))
        return maps.mean(dim=(2, 3))


def _stage(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), norm, nn.ReLU())


def small_network(seed: int = 0, classes: int = CLASSES, batch_norm: bool = True) -> Network:
    """Return a random network in training mode; its running statistics are not the initial 0 and 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(SmallBackbone(batch_norm), SmallBackbone.num_features, 6, classes)
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0.0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return network


def small_source_network(seed: int = 1, classes: int = CLASSES) -> Network:
    """Return a frozen network in evaluation mode with weights of its own."""
    return frozen_copy(small_network(seed, classes))
