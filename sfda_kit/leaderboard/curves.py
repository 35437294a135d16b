"""Curves of accuracy against severity, one panel for each factor of a stress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sfda_kit.leaderboard.board import Spread
from sfda_kit.leaderboard.rows import spread

Place = tuple[int | None, int]
"""Fold and seed of a run."""


@dataclass(frozen=True)
class CurvePoint:
    """A point is the score of a method at one level, in percent; None where no run has a result.

    ``change``: the mean difference to the plain task in points, over the folds and seeds that both have. ``images``:
    the number of images of each part, in the first run.
    """

    score: Spread | None
    change: float | None
    images: Mapping[str, int]


@dataclass(frozen=True)
class Curve:
    """A curve is the points of one method, one for each level of its panel."""

    method: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Panel:
    """A panel shows one factor: the labels of its levels, the plain task first, and a curve for each method."""

    factor: str
    setting: str
    levels: tuple[str, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class CurveSection:
    """A section holds the panels of one task and network, and sentences about its runs."""

    title: str
    panels: tuple[Panel, ...]
    synthetic: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class StressPage:
    """A page holds the curves of one suite. ``metric``: a key of ``METRICS``."""

    name: str
    title: str
    metric: str
    sections: tuple[CurveSection, ...]
    notices: tuple[str, ...]


def point(found: Mapping[Place, float], plain: Mapping[Place, float], images: Mapping[str, int]) -> CurvePoint:
    """Return the point of the scores ``found`` by fold and seed, beside those of the plain task."""
    both = [found[place] - plain[place] for place in found if place in plain]
    change = math.fsum(both) / len(both) if both else None
    return CurvePoint(spread([found[place] for place in sorted(found, key=str)]) if found else None, change, images)
