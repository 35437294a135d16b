"""Feature maps of an early stage of a timm backbone, beside its ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from sfda_kit.models.network import Network, Output


def shallow_stage(network: Network) -> tuple[nn.Module, int]:
    """The backbone's second stage as timm lists it (the first residual stage of a ResNet) and its width."""
    info: list[dict[str, Any]] = list(network.backbone.feature_info)  # type: ignore[arg-type]
    stage = info[min(1, len(info) - 1)]
    return network.backbone.get_submodule(stage["module"]), int(stage["num_chs"])


def shallow_features(network: Network, images: Tensor) -> tuple[Tensor, Output]:
    """Maps (B, C, h, w) of the shallow stage and the network's output, in one forward pass.

    Token outputs (B, tokens, C) of transformers come back as (B, C, tokens, 1).
    """
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        del module, inputs
        maps.append(output)

    handle = shallow_stage(network)[0].register_forward_hook(keep)
    try:
        output: Output = network(images)
    finally:
        handle.remove()
    found = maps[0]
    return (found if found.ndim == 4 else found.transpose(1, 2)[..., None]), output
