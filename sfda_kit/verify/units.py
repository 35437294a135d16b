"""Checks of the values of a whole set: whether their unit can be right, and how much of their files they use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

import numpy as np

from sfda_kit.interfaces.modality import FullScale, Modality
from sfda_kit.plugins.modalities import modality
from sfda_kit.verify.file_checks import FileFacts, PixelFacts
from sfda_kit.verify.findings import Finding

_SMALL = 1 / 4
"""A 16-bit file whose values stay below this share of its full scale has 14 bits or fewer in use."""
_NARROW = 1 / 64
"""The values of an image that span less than this share of its full scale show almost no contrast."""


def doubtful_units(facts: Collection[FileFacts], unit: str | None) -> Iterator[Finding]:
    """Yield a notice where the middle of the median values of a modality lies out of its usual range.

    ``unit`` is None where the data set converts the values itself, so no other unit can be given.
    """
    for kind, found in _by_modality(facts).items():
        medians = [one.median for _, one in found if one.full is None and (one.median or not kind.zero_is_missing)]
        if kind.usual is None or not medians:
            continue
        middle = float(np.median(medians)) / (kind.scale or 1)
        if kind.usual[0] <= middle <= kind.usual[1]:
            continue
        what = f"the middle of {len(medians)} {kind.name} images is at {middle:.3g} {kind.unit}"
        if unit is None:
            remedy = (
                "Its loader must return what the contract of data sets says, for depth millimetres; tell its authors."
            )
            yield Finding("doubtful-unit", ".", what, remedy)
            continue
        read_as = kind.chosen_unit(unit)
        others = " or ".join(name for name in kind.units if name != read_as)
        remedy = f"If that cannot be, state another unit: --unit {others}."
        yield Finding("doubtful-unit", ".", f"{what} when read as {read_as}", remedy)


def small_parts(facts: Collection[FileFacts], unit: str) -> Iterator[Finding]:
    """Yield a notice for each image that uses a small part of its container, with the option that mends it."""
    for kind, found in _by_modality(facts).items():
        meaning = kind.units[kind.chosen_unit(unit)]
        if kind.channels == 1 and isinstance(meaning, FullScale) and meaning.bits is None:
            wide = [(one, pixels) for one, pixels in found if pixels.full is not None]
            yield from _small_parts(kind, wide)


def _small_parts(kind: Modality, found: list[tuple[FileFacts, PixelFacts]]) -> Iterator[Finding]:
    deep = [pixels.most for _, pixels in found if pixels.full == np.iinfo(np.uint16).max]
    unit = _unit_of(kind, max(deep, default=0))
    for one, pixels in found:
        full = pixels.full or 1
        held = f"({kind.name}) holds {pixels.least:,}..{pixels.most:,} of 0..{full:,}"
        if unit and full > 255 and pixels.most < _SMALL * full:
            yield Finding("small-part", one.path, held, f"If the sensor has no more bits, state them: --unit {unit}.")
        elif 0 < pixels.most - pixels.least < _NARROW * full:
            yield Finding("small-part", one.path, held, "Show each image over its own range: --encoding stretch.")


def _unit_of(kind: Modality, most: float) -> str:
    """Return the unit with the fewest bits that hold ``most``, the largest value of the set; empty without one."""
    bits = {one.bits: name for name, one in kind.units.items() if isinstance(one, FullScale) and one.bits}
    return next((bits[number] for number in sorted(bits) if most < 2**number), "")


def _by_modality(facts: Collection[FileFacts]) -> dict[Modality, list[tuple[FileFacts, PixelFacts]]]:
    found = defaultdict(list)
    for one in facts:
        for name, pixels in one.pixels.items():
            found[modality(name)].append((one, pixels))
    return found
