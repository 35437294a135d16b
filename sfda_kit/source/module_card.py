"""A source card of any torch module that classifies images."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models.module_factories import IN_MEMORY, trust
from sfda_kit.models.network import Network, build_network, replace_weights
from sfda_kit.models.own_module import find_classifier, probe, with_layer
from sfda_kit.plugins.modalities import modality as known_modality
from sfda_kit.source.importing import Triple, keep_imported, normalisation_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def import_module(
    module: nn.Module,
    *,
    image_size: int,
    classes: Sequence[str] | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    modality: str = "rgb",
    classifier: str | None = None,
    feature_maps: str | None = None,
    reference: str | None = None,
) -> Path:
    """Make a source card of ``module`` in the cache, and return its folder, the same for the same module.

    ``module``: maps normalised images (B, 3, ``image_size``, ``image_size``) to logits (B, K) and ends with a linear
    layer. It stays as it is. ``classes``: K names in the order of the outputs (None: "0" to "K-1"). ``mean``, ``std``:
    the normalisation that the module was trained with, for values in [0, 1] (None: that of timm's modules).
    ``classifier``: name of the last layer (None: it is found). ``feature_maps``: name of a layer that returns maps
    (B, C, h, w), for bridges that compare maps. ``reference``: the ``package.module:function`` that makes such a
    module; without it the card is of use only where the module is at hand. Raises ``UserError``.
    """
    known_modality(modality)
    name = classifier or find_classifier(module, image_size)
    reference = reference or _in_memory(module)
    module = copy.deepcopy(module).cpu()
    trust(reference, lambda: module)
    model = ModelConfig(
        backbone=reference, bottleneck=0, image_size=image_size, classifier=name, feature_maps=feature_maps
    )
    logits = probe(module, image_size)
    names = _named(classes, logits.shape[1])
    network = build_network(model, len(names))
    _copy_classifier(module, name, network)
    _check_same(module, network, logits)
    mean, std = _normalisation(module, network, mean, std)
    return keep_imported(network, model, names, modality, mean, std, reference)


def adapted_module(network: Network, classifier: str) -> nn.Module:
    """Return the torch module that ``network`` was made of, with the weights of ``network``.

    Its layer ``classifier`` is a plain linear layer with a bias, which some methods train even where the module had
    none.
    """
    linear = nn.Linear(network.feature_width, network.class_count)
    replace_weights(linear, network.classifier.weight, network.classifier.bias)  # type: ignore[arg-type]
    return with_layer(network.backbone.body, classifier, linear)  # type: ignore[arg-type]


def _in_memory(module: nn.Module) -> str:
    """Return a reference to a module that no function makes: its class, and a hash of its layers."""
    return f"{IN_MEMORY}{type(module).__name__}_{hashlib.sha256(str(module).encode()).hexdigest()[:10]}"


def _named(classes: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if isinstance(classes, str):
        raise UserError(f"`classes` is the text {classes!r}; expected a list of names, such as ['cup', 'dish'].")
    names = tuple(map(str, classes if classes is not None else range(count)))
    if len(names) != count:
        raise UserError(f"The module has {count} outputs, and `classes` names {len(names)}. Name all, in their order.")
    return names


def _copy_classifier(module: nn.Module, name: str, network: Network) -> None:
    linear: Any = module.get_submodule(name)
    bias = linear.bias if linear.bias is not None else torch.zeros(linear.out_features)
    replace_weights(network.classifier, linear.weight, bias)  # type: ignore[arg-type]


def _check_same(module: nn.Module, network: Network, logits: torch.Tensor) -> None:
    """Raise ``UserError`` unless backbone and classifier together are the module."""
    found = probe(network.eval(), network.image_size or 0)
    if not torch.allclose(found, logits, rtol=1e-3, atol=1e-4):
        raise UserError(
            f"{type(module).__name__} cannot be split into features and classifier: its output differs from that of "
            "the layer that `classifier` names. Let the module end with that layer."
        )


def _normalisation(module: nn.Module, network: Network, mean: Triple | None, std: Triple | None) -> tuple[Any, Any]:
    stated = getattr(module, "pretrained_cfg", None) or {}
    if (mean is None and "mean" not in stated) or (std is None and "std" not in stated):
        raise UserError(
            "With which normalisation was the module trained? Give mean=(R, G, B) and std=(R, G, B) for values in "
            "[0, 1]; (0, 0, 0) and (1, 1, 1) if with none. ImageNet's are (0.485, 0.456, 0.406) and "
            "(0.229, 0.224, 0.225)."
        )
    return normalisation_of(network, mean or stated["mean"], std or stated["std"])
