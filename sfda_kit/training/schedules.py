"""Schedules of the learning rate: the factor on the initial rate at each step of a stage."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]
"""A function from the share of steps done before a step, in [0, 1), to the factor on the rate in that step."""


def schedule(name: str, steps: int) -> Schedule:
    """Return the schedule ``name`` (inverse, constant, cosine or one-cycle) for a stage of ``steps``."""
    return counted_from_1(steps) if name == "inverse" else SCHEDULES[name]


def counted_from_1(steps: int) -> Schedule:
    """Return ``inverse_decay`` at k / T for the steps k = 1..T of a stage of T = ``steps``.

    The first step is already decayed, and the last has 11^-0.75, as in the code of SHOT (object/image_target.py).
    """
    return lambda progress: inverse_decay(progress + 1.0 / steps)


def inverse_decay(progress: float) -> float:
    """Return (1 + 10 p)^-0.75, the schedule of SHOT."""
    return float((1.0 + 10.0 * progress) ** -0.75)


def constant(progress: float) -> float:
    """Return 1: the rate never changes."""
    del progress
    return 1.0


def cosine(progress: float) -> float:
    """Return a factor that falls from 1 to 0 as a half cosine."""
    return (1 + math.cos(math.pi * progress)) / 2


def one_cycle(progress: float, warm_up: float = 0.25) -> float:
    """Return a factor that rises as a cosine from 4 % to 1 until ``warm_up`` and then falls as a cosine to 0."""
    if progress < warm_up:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warm_up)) / 2
    return (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "one-cycle": one_cycle}
