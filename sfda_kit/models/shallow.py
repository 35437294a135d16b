"""Feature maps of an early stage of a timm backbone, together with its ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfda_kit.errors import UserError
from sfda_kit.models.split_pass import handles_parts, split_pass

if TYPE_CHECKING:
    from sfda_kit.models.network import Network, NetworkOutput


def shallow_width(network: Network) -> int:
    """Return the number C of channels of the maps of ``shallow_features``."""
    return sum(_stage(backbone)[1] for backbone in network.backbones())


def _stage(backbone: nn.Module) -> tuple[nn.Module, int]:
    """Return the second stage that timm lists for the backbone (the first residual stage of a ResNet) and its width."""
    info: list[dict[str, Any]] = list(backbone.feature_info)  # type: ignore[arg-type]
    if not info:
        raise UserError(
            "A part of this method compares feature maps, and your module does not say which layer gives them. Name a "
            "layer that returns (B, C, h, w), for example feature_maps='layer1' (--set model.feature_maps=layer1)."
        )
    stage = info[min(1, len(info) - 1)]
    return backbone.get_submodule(stage["module"]), int(stage["num_chs"])


def shallow_features(network: Network, images: Tensor) -> tuple[Tensor, NetworkOutput]:
    """Return maps (B, C, h, w) of the shallow stage and the output of the network, from one forward pass.

    Token outputs (B, tokens, C) of transformers become (B, C, tokens, 1). The maps of a ``Mixture`` are those of its
    members joined along C, averaged down to the smallest size where sizes differ.
    """
    return split_pass(lambda part: _with_maps(network, part), images, network)


def _with_maps(network: Network, images: Tensor) -> tuple[Tensor, NetworkOutput]:
    maps: list[Tensor] = []

    @handles_parts
    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        del module, inputs
        maps.append(output if output.ndim == 4 else output.transpose(1, 2)[..., None])

    handles = [_stage(backbone)[0].register_forward_hook(keep) for backbone in network.backbones()]
    try:
        output: NetworkOutput = network(images)
    finally:
        for handle in handles:
            handle.remove()
    return _joined(maps), output


def _joined(maps: list[Tensor]) -> Tensor:
    if len({found.shape[2:] for found in maps}) > 1:
        height, width = (min(found.shape[side] for found in maps) for side in (2, 3))
        maps = [F.adaptive_avg_pool2d(found, (height, width)) for found in maps]
    return torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]
