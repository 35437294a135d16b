"""The optimiser of a phase: which parts of the network learn, and at which rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sfda_kit.models.network import scope_modules
from sfda_kit.training.optimizers import sgd

if TYPE_CHECKING:
    from sfda_kit.config.models import AdaptConfig
    from sfda_kit.interfaces.recipe import Scope
    from sfda_kit.models.network import Network


def phase_optimizer(
    network: Network, scope: Scope, config: AdaptConfig, own_modules: Iterable[nn.Module]
) -> torch.optim.Optimizer:
    """Freeze all of ``network`` but ``scope``, and return SGD over that and the aligners' ``own_modules``."""
    network.requires_grad_(False)
    modules = scope_modules(network, scope)
    for module in modules:
        module.requires_grad_(True)
    groups = _network_groups(network, {id(p) for module in modules for p in module.parameters()}, config)
    own = [p for module in own_modules for p in module.parameters()]
    if own:
        groups.append({"params": own, "lr": config.lr})
    return sgd(groups, config.momentum, config.weight_decay)


def _network_groups(network: Network, trained: set[int], config: AdaptConfig) -> list[dict[str, Any]]:
    """Return a group for each part of the network that has ``trained`` parameters (by ``id``)."""
    factors = (
        (network.backbone, config.backbone_lr_factor),
        (network.bottleneck, 1.0),
        (network.classifier, config.classifier_lr_factor),
    )
    groups: list[dict[str, Any]] = []
    for part, factor in factors:
        parameters = [p for p in part.parameters() if id(p) in trained]
        if parameters:
            groups.append({"params": parameters, "lr": config.lr * factor})
    if network.mixing is not None and trained:  # no weight decay: it would pull the weights of source models together
        rate = config.lr * config.mixing_lr_factor
        groups.append({"params": [network.mixing.requires_grad_(True)], "lr": rate, "weight_decay": 0.0})
    return groups
