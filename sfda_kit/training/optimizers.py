"""The interface of an optimiser in the training loop, and a combination of several optimisers."""

from __future__ import annotations

from typing import Any, Protocol

import torch


class Optimizer(Protocol):
    """The part of ``torch.optim.Optimizer`` that the loop and its checkpoints use."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...

    def step(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def sgd(groups: list[dict[str, Any]], momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Return SGD over ``groups``, each with its rate. The momentum is Nesterov's; 0 is plain gradient descent."""
    return torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay, nesterov=momentum > 0)


class CombinedOptimizer:
    """A combined optimiser steps several optimisers after one backward pass. Each has its own algorithm and rates."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all optimisers, in order. Loading a state makes new groups."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Make one step with each optimiser."""
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the optimisers, in order, under the key ``parts``."""
        return {"parts": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states. Raises ``KeyError`` or ``ValueError`` where they do not belong to these optimisers."""
        for optimizer, state in zip(self.optimizers, state_dict["parts"], strict=True):
            optimizer.load_state_dict(state)
