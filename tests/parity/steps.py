"""What a method does in its steps, kept while it runs, and done again by a loop written out in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sfda_kit import TargetView
from sfda_kit.testing.signals import small_target


def entropy(p: Tensor) -> Tensor:
    """Return the entropy of each row with SHOT's 1e-5 inside the logarithm."""
    return -(p * (p + 1e-5).log()).sum(-1)


class RecordingView(TargetView):
    """The images of another view. ``drawn`` keeps the rows and images of every augmented batch, in order."""

    def __init__(self, view: TargetView) -> None:
        self.__dict__.update(view.__dict__)
        self.drawn: list[tuple[Tensor, Tensor]] = []

    def batch(self, rows: Tensor, geometry: Any = None) -> Tensor:
        """Return the images of ``rows``, and keep those that have a crop and a flip of their own."""
        images = super().batch(rows, geometry)
        if geometry is not None:
            self.drawn.append((rows.clone(), images.clone()))
        return images

    def all_images(self) -> Tensor:
        """Return all images with the test transform."""
        return super().batch(torch.arange(len(self)))


def recording_target(images: int) -> RecordingView:
    """Return random target images that keep what is drawn of them."""
    return RecordingView(small_target(images=images))


class NaiveSgd:
    """SGD with Nesterov momentum and weight decay, one parameter after the other; without more, as in SHOT.

    The rates fall as in SHOT over ``steps``; with ``steps`` None they are constant.
    """

    def __init__(
        self,
        groups: Sequence[tuple[float, Sequence[nn.Parameter]]],
        steps: int | None,
        momentum: float = 0.9,
        decay: float = 1e-3,
    ) -> None:
        self.groups, self.steps, self.done, self.momentum, self.decay = groups, steps, 0, momentum, decay
        self.speed: dict[int, Tensor] = {}

    def step(self) -> None:
        """Make one step with the gradients of the parameters, and forget them."""
        self.done += 1
        factor = (1 + 10 * self.done / self.steps) ** -0.75 if self.steps else 1.0
        for rate, parameters in self.groups:
            for parameter in parameters:
                self._move(parameter, rate * factor)

    @torch.no_grad()
    def _move(self, parameter: nn.Parameter, rate: float) -> None:
        if parameter.grad is None:
            return
        slope = parameter.grad + self.decay * parameter
        speed = self.momentum * self.speed[id(parameter)] + slope if id(parameter) in self.speed else slope
        self.speed[id(parameter)] = speed
        parameter -= rate * (slope + self.momentum * speed)
        parameter.grad = None


def assert_same_weights(found: nn.Module, expected: nn.Module) -> None:
    """Assert that all weights and running statistics agree to 1e-5."""
    wanted: Mapping[str, Tensor] = expected.state_dict()
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-5, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")
