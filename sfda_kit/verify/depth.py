"""Check of a set's depth: whether its unit can be right."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from sfda_kit.data.depth_units import DepthUnit
from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding

_NEAR_MM, _FAR_MM = 200, 20_000
"""The middle of a scene is nearer or further than this only with few sensors (our choice)."""


def doubtful_unit(facts: Collection[FileFacts], unit: DepthUnit | None) -> Iterator[Finding]:
    """Yield a notice where the median over all images of their median distance is too near or too far.

    ``unit`` is None where the data set converts depth itself, so no other unit can be given.
    """
    found = [one.pixels["depth"] for one in facts if "depth" in one.pixels]
    medians = [pixels.median for pixels in found if pixels.median]
    if not medians:
        return
    middle = float(np.median(medians))
    if _NEAR_MM <= middle <= _FAR_MM:
        return
    if unit is None:
        what = f"the middle of {len(medians)} depth images is at {middle / 1000:.3g} m"
        yield Finding("doubtful-unit", ".", what, "Its loader has to return millimetres; tell its authors.")
        return
    other = {"mm": "sun-rgbd-bits or m", "m": "mm", "sun-rgbd-bits": "mm"}[unit]
    what = f"the middle of {len(medians)} depth images is at {middle / 1000:.3g} m when read as {unit}"
    yield Finding("doubtful-unit", ".", what, f"If that cannot be, state another unit: --depth-unit ({other}).")
