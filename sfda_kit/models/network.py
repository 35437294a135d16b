"""The network that SHOT, SOCKET and TGKT share: backbone, bottleneck and classifier."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.models.bridging import bridged
from sfda_kit.models.module_factories import is_reference
from sfda_kit.models.own_module import module_backbone
from sfda_kit.models.split_pass import split_pass

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig
    from sfda_kit.interfaces.recipe import Scope


class NetworkOutput(NamedTuple):
    """The output of a network: ``features`` (B, D) of the bottleneck and ``logits`` (B, K)."""

    features: Tensor
    logits: Tensor


class Network(nn.Module):
    """A network is a timm backbone, then Linear(d, D) + BatchNorm1d, then a weight-normalised Linear(D, K).

    With ``bottleneck=0`` (an imported plain classifier), features are the pooled backbone features, and the classifier
    is an ordinary linear layer. ``image_size``: side of the images that it is made for, None if unknown. ``mixing``:
    the parameter for the weights of the members of a ``Mixture``, None for a single network.
    """

    mixing: nn.Parameter | None

    def __init__(
        self, backbone: nn.Module, width: int, bottleneck: int, classes: int, image_size: int | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = image_size
        self.mixing = None
        self.bottleneck: nn.Module = nn.Identity()
        self.classifier: nn.Module = nn.Linear(width, classes)
        if bottleneck:
            linear = nn.Linear(width, bottleneck)
            nn.init.xavier_normal_(linear.weight)
            self.bottleneck = nn.Sequential(linear, nn.BatchNorm1d(bottleneck))
            self.classifier = weight_norm(nn.Linear(bottleneck, classes))

    def forward(self, images: Tensor) -> NetworkOutput:
        """Return features (B, D) and logits (B, K) of normalised images (B, 3, H, W)."""
        return split_pass(self._answer, images, self)

    def _answer(self, images: Tensor) -> NetworkOutput:
        features = self.bottleneck(self.backbone(images))
        return NetworkOutput(single_precision(features), single_precision(self.classifier(features)))

    @property
    def feature_width(self) -> int:
        """The number D of features."""
        return int(self.classifier.in_features)  # type: ignore[arg-type]

    @property
    def class_count(self) -> int:
        """The number K of classes."""
        return int(self.classifier.out_features)  # type: ignore[arg-type]

    @torch.no_grad()
    def renew_classifier(self) -> None:
        """Give the classifier, and that of each member of a ``Mixture``, new random weights and a bias of 0."""
        for layer in self.classifier.modules():
            if isinstance(layer, nn.Linear):
                new = nn.Linear(layer.in_features, layer.out_features).to(layer.bias.device)
                replace_weights(layer, new.weight.detach(), torch.zeros_like(new.bias))

    def backbones(self) -> list[nn.Module]:
        """Return the backbone in a list, or the backbones of all members of a ``Mixture``."""
        return [self.backbone]

    def weighed(self, features: Tensor) -> Tensor:
        """Return ``features`` (B, D) for comparisons of images. Only a ``Mixture`` changes them."""
        return features


@torch.no_grad()
def replace_weights(classifier: nn.Linear, weights: Tensor, bias: Tensor) -> None:
    """Copy weights (K, D) and bias (K,) into ``classifier``. A weight normalisation stays in place."""
    if nn.utils.parametrize.is_parametrized(classifier, "weight"):
        classifier.weight = weights.detach().clone()  # torch splits them into length and direction
        empty = weights.norm(dim=1) == 0  # a row of length 0 needs a direction all the same, or it is not a number
        classifier.state_dict()["parametrizations.weight.original1"][empty] = 1.0
    else:
        classifier.weight.copy_(weights)
    classifier.bias.copy_(bias)


def single_precision(values: Tensor) -> Tensor:
    """Return 16-bit ``values`` in 32 bits. Under autocast, losses would otherwise have two or three correct digits."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def build_network(config: ModelConfig, classes: int, pretrained: bool | None = None) -> Network:
    """Build a new network. Raises ``UserError`` for an unknown backbone or one that cannot take the image size."""
    if is_reference(config.backbone):
        return _of_module(config, classes)
    if not timm.is_model(config.backbone.split(".")[0]):
        hint = did_you_mean(config.backbone, timm.list_models())
        raise UserError(f"timm has no backbone {config.backbone!r}. {hint}")
    backbone = _create(config, config.pretrained if pretrained is None else pretrained)
    _check_image_size(backbone, config)
    # Some backbones (MobileNetV3, VGG) widen the pooled features before their classifier.
    width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    network = Network(backbone, int(width), config.bottleneck, classes, config.image_size)
    return network.to(memory_format=torch.channels_last)


def _of_module(config: ModelConfig, classes: int) -> Network:
    backbone, width = module_backbone(config, classes)
    network = Network(backbone, width, config.bottleneck, classes, config.image_size)
    return network.to(memory_format=torch.channels_last)


def _create(config: ModelConfig, pretrained: bool) -> nn.Module:
    try:
        try:  # transformers are built for one image size, convolutional networks take none
            return timm.create_model(config.backbone, pretrained=pretrained, num_classes=0, img_size=config.image_size)
        except TypeError:
            return timm.create_model(config.backbone, pretrained=pretrained, num_classes=0)
    except (RuntimeError, OSError, AssertionError, ValueError) as error:
        weights = "with pretrained weights " if pretrained else ""
        raise UserError(
            f"timm could not build {config.backbone!r} {weights}for {config.image_size} px images: {error}"
        ) from None


def _check_image_size(backbone: nn.Module, config: ModelConfig) -> None:
    info = getattr(backbone, "feature_info", None) or [{}]
    reduction = max(int(stage.get("reduction", 1)) for stage in info)
    if config.image_size < reduction:
        raise UserError(
            f"{config.backbone} halves its input down to 1/{reduction}: images of {config.image_size} px are "
            f"too small. Use --image-size {reduction} or more (twice that is sensible)."
        )


def frozen_copy(network: Network) -> Network:
    """Return a copy in evaluation mode without gradients."""
    return copy.deepcopy(network).requires_grad_(False).eval()


def scope_modules(network: Network, scope: Scope) -> list[nn.Module]:
    """Return the modules that ``scope`` trains."""
    if scope == "none":
        return []
    if scope == "batch-norm":
        return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return [getattr(network, name) for name in scope.split("+")]


@contextmanager
def frozen_running_statistics(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm layers use batch statistics without updating the running statistics that inference needs."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    previous = [norm.track_running_stats for norm in norms]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, value in zip(norms, previous, strict=True):
            norm.track_running_stats = value


class AdaptedModel(nn.Module):
    """An adapted model predicts with an input bridge and a network."""

    def __init__(self, input_bridge: nn.Module, network: Network) -> None:
        super().__init__()
        self.input_bridge = input_bridge
        self.network = network

    def forward(self, images: Tensor) -> NetworkOutput:
        """Return features (weighed in a ``Mixture``) and logits of encoded, normalised target images (B, 3, H, W)."""
        return split_pass(self._answer, images, self)

    def _answer(self, images: Tensor) -> NetworkOutput:
        output: NetworkOutput = self.network(bridged(self.input_bridge, images))
        return NetworkOutput(self.network.weighed(output.features), output.logits)
