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

    It has buffers and no parameters: checkpoints hold it, and nothing trains it. Only the weights are averaged. It is
    in training mode where ``network`` is, and its running statistics are those of the images that it sees itself.
    """

    network: Network

    def __init__(self, network: Network, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self._averaged = tuple(name for name, _ in network.named_parameters())
        self.network = without_parameters(copy.deepcopy(network))

    def forward(self, images: Tensor) -> NetworkOutput:
        """Return features and logits of images (B, 3, H, W)."""
        output: NetworkOutput = self.network(images)
        return output

    @torch.no_grad()
    def follow(self, network: Network) -> None:
        """Take one step towards ``network``, and take over which of its modules are in training mode."""
        own, weights = self.network.state_dict(), network.state_dict()
        for name in self._averaged:
            own[name].lerp_(weights[name], 1 - self.momentum)
        for mine, its in zip(self.network.modules(), network.modules(), strict=True):
            mine.training = its.training


def without_parameters(network: Network) -> Network:
    """Turn every parameter of ``network`` into a buffer of the same name, in place, and return ``network``."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return network
