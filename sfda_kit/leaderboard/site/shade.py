"""Positions of values between the lowest and the highest one, for dots, lines and shades."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfda_kit.leaderboard.board import BoardRow, Spread

WIDTH, EDGE = 104, 4
"""Width of the small drawing of mean and spread, and of the free space on each side of it, in pixels."""


def is_percent(value: float | None) -> bool:
    """Return whether ``value`` can be drawn on a percent scale; a record may hold any value."""
    return value is not None and 0.0 <= value <= 100.0


def bounds(spreads: Iterable[Spread | None]) -> tuple[float, float]:
    """Return the lowest and the highest mean that is a percentage, or (0, 100) where there is none."""
    means = [spread.mean for spread in spreads if spread and is_percent(spread.mean)]
    return (min(means), max(means)) if means else (0.0, 100.0)


def spreads(rows: Iterable[BoardRow | None], metric: str) -> list[Spread | None]:
    """Return ``metric`` of each row, None where it has none."""
    return [row.metrics.get(metric) if row else None for row in rows]


def scale(spreads: Iterable[Spread | None]) -> tuple[float, float]:
    """Return bounds around all means in tens of percent, at least ten apart."""
    low, high = bounds(spreads)
    low = min(10.0 * math.floor(low / 10), 90.0)
    return low, max(10.0 * math.ceil(high / 10), low + 10)


def interval(spread: Spread, low: float, high: float) -> tuple[float, float, float]:
    """Return start, mean and end, in pixels, of a line of one standard deviation each way, cut at the edges."""
    step = (WIDTH - 2 * EDGE) / (high - low)
    middle = EDGE + (spread.mean - low) * step
    half = min((spread.std or 0.0) * step, WIDTH)
    return max(middle - half, 0.0), middle, min(middle + half, WIDTH)


def tenth(value: float | None, low: float = 0.0, high: float = 100.0) -> int:
    """Return the shade, 0 to 10, of ``value`` between ``low`` and ``high``; 0 where it is no percentage."""
    if value is None or not is_percent(value) or high <= low:
        return 0
    return round(10 * min(max((value - low) / (high - low), 0.0), 1.0))
