"""A momentum model: a network whose weights slowly follow another's."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sfda_kit import Network, NetworkOutput


class MomentumModel(nn.Module):
    """A momentum model has the weights m theta_mom + (1 - m) theta, at first those of ``network``.

    It has buffers and no parameters: checkpoints hold it, and nothing trains it. BatchNorm takes the statistics of the
    batch where the network does, as is usual in momentum contrast; all else is in evaluation mode.
    """

    network: Network

    def __init__(self, network: Network, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self._averaged = frozenset(name for name, _ in network.named_parameters())
        self.network = without_parameters(copy.deepcopy(network))
        self.eval()

    def forward(self, images: Tensor) -> NetworkOutput:
        """Return features and logits of images (B, 3, H, W)."""
        output: NetworkOutput = self.network(images)
        return output

    def train(self, mode: bool = True) -> MomentumModel:
        """Stay in evaluation mode whatever ``mode`` is; only ``follow`` changes the modes of BatchNorm."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def follow(self, network: Network) -> None:
        """Take one step towards ``network``, and copy its running statistics and its modes of BatchNorm."""
        own = self.network.state_dict()
        for name, value in network.state_dict().items():
            if name in self._averaged:
                own[name].lerp_(value, 1 - self.momentum)
            else:
                own[name].copy_(value)
        for mine, its in zip(self.network.modules(), network.modules(), strict=True):
            if isinstance(mine, nn.modules.batchnorm._BatchNorm):
                mine.training = its.training


def without_parameters(network: Network) -> Network:
    """Turn every parameter of ``network`` into a buffer of the same name, in place, and return ``network``."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return network
