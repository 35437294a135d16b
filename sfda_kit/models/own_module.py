"""A network made of any torch module: what comes before its last linear layer becomes the backbone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sfda_kit.errors import UserError, brief, did_you_mean
from sfda_kit.models.module_factories import make_module

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig


class ModuleBackbone(nn.Module):
    """A backbone is the user's module ``body`` without its classifier. It returns features (B, D).

    ``feature_info`` names the layer of feature maps as timm does, and is empty where the user names none.
    """

    def __init__(self, body: nn.Module, feature_maps: str | None, image_size: int) -> None:
        super().__init__()
        self.body = body
        self.feature_info: list[dict[str, Any]] = []
        if feature_maps:
            width = _map_width(body, feature_maps, image_size)
            self.feature_info = [{"module": f"body.{feature_maps}", "num_chs": width}]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, D) of normalised images (B, 3, H, W)."""
        return _tensor(self.body(images)).flatten(1)


def module_backbone(config: ModelConfig, classes: int) -> tuple[ModuleBackbone, int]:
    """Return the backbone that ``config`` names by reference, and its number of features. Raises ``UserError``."""
    module = make_module(config.backbone, classes)
    name = config.classifier or find_classifier(module, config.image_size)
    linear = _layer(module, name)
    if not isinstance(linear, nn.Linear):
        raise UserError(
            f"The layer {name!r} of {config.backbone} is a {type(linear).__name__}. The classifier has to be the last "
            "layer, an nn.Linear; name that one."
        )
    body = with_layer(module, name, nn.Identity())
    return ModuleBackbone(body, config.feature_maps, config.image_size), linear.in_features


def find_classifier(module: nn.Module, image_size: int) -> str:
    """Return the name of the linear layer whose output is that of ``module``. Raises ``UserError`` if none is."""
    outputs: dict[str, Tensor] = {}
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    handles = [
        layer.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out})) for name, layer in layers
    ]
    try:
        logits = probe(module, image_size)
    finally:
        for handle in handles:
            handle.remove()
    for name, found in reversed(outputs.items()):
        if name and found.shape == logits.shape and torch.equal(found, logits):
            return name
    raise UserError(
        f"The output of this {type(module).__name__} is not that of a linear layer, so its classifier cannot be found. "
        f"Wrap the module so that it ends with an nn.Linear that gives logits (no softmax). Its linear layers: "
        f"{', '.join(name for name, _ in layers) or 'none'}."
    )


def probe(module: nn.Module, image_size: int) -> Tensor:
    """Return the output of ``module`` for two random images, in evaluation mode. Raises ``UserError`` if it fails."""
    was_training, like = module.training, next(module.parameters(), torch.zeros(1))
    images = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            return _tensor(module.eval()(images.to(like.device)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"This {type(module).__name__} does not take images (2, 3, {image_size}, {image_size}): "
            f"{brief(error, 200, quoted=False)}. State the side of its input with image_size (--image-size)."
        ) from error
    finally:
        module.train(was_training)


def _tensor(output: Any) -> Tensor:
    """Return the logits of an output, which is a tensor or, in some libraries, an object that has ``logits``."""
    found = getattr(output, "logits", output)
    if not isinstance(found, Tensor):
        raise UserError(f"The module returned {type(output).__name__}; expected a tensor of logits (B, K).")
    return found


def _map_width(body: nn.Module, name: str, image_size: int) -> int:
    maps: list[Any] = []
    handle = _layer(body, name).register_forward_hook(lambda _, __, output: maps.append(output))
    try:
        probe(body, image_size)
    finally:
        handle.remove()
    if not maps or not isinstance(maps[0], Tensor) or maps[0].ndim != 4:
        found = tuple(maps[0].shape) if maps and isinstance(maps[0], Tensor) else "no tensor"
        raise UserError(f"feature_maps names the layer {name!r}, which returns {found}; expected maps (B, C, h, w).")
    return int(maps[0].shape[1])


def _layer(module: nn.Module, name: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError:
        known = [key for key, _ in module.named_modules() if key]
        raise UserError(f"{type(module).__name__} has no layer {name!r}. {did_you_mean(name, known)}") from None


def with_layer(module: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """Return a copy of ``module`` with another ``layer`` of that name."""
    copied = copy.deepcopy(module)
    parent, _, last = name.rpartition(".")
    setattr(copied.get_submodule(parent), last, layer)
    return copied
