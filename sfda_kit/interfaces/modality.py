"""The contract of a modality: what a sensor measures, how files hold it, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

FRACTION = "fraction of full scale"
"""The unit of brightness: 0 is black, 1 is the most that the container, or the sensor, can hold."""
Container = Literal["8-bit", "16-bit", "float"]


@dataclass(frozen=True)
class Unit:
    """A way in which files hold a measured value: stored number * ``factor`` + ``offset``, in the modality's unit.

    ``containers``: the files that may hold it. ``encoding``: the default encoding, where it is not the modality's.
    """

    factor: float = 1.0
    offset: float = 0.0
    containers: tuple[Container, ...] = ("16-bit", "float")
    encoding: str = ""


@dataclass(frozen=True)
class FullScale:
    """A way in which files hold brightness: a share of the largest number that ``bits`` hold (None: the container's).

    Floats are shares already, in [0, 1]. ``containers`` and ``encoding`` are as in ``Unit``.
    """

    bits: int | None = None
    containers: tuple[Container, ...] = ("8-bit", "16-bit", "float")
    encoding: str = ""


@dataclass(frozen=True)
class Modality:
    """A modality says what a sensor measures. ``unit``: that of the images that an encoding is handed.

    ``channels``: 1 or 3. ``units``: the ways in which files may hold it, by the names that ``--unit`` takes; the first
    is the default. ``valid``: the range of possible values in ``unit``; values beyond it are clipped, and an image
    whose median lies beyond it is refused, as its unit cannot be right. ``usual``: the range in which scenes lie, shown
    by ``copy``, ``range`` and ``jet`` where no other is given; a set beyond it gets a notice from ``data verify``.
    ``encoding``: the default. ``colours``: the colour map of matplotlib with which ``data show`` draws it.
    ``zero_is_missing``: 0 means that nothing was measured, and is never averaged into other values.

    ``name`` is the declared name. ``usual`` lies in ``valid``. The encodings are installed and take this modality.
    ``decode`` does not write into the array that it is handed.

    Pixels in memory are uint8 or uint16, fractions of the full scale of their dtype, or float32 in ``unit``. ``scale``:
    integers divided by it are in ``unit`` instead (depth: millimetres, 1000). ``decode`` replaces the conversion of
    what files hold: it takes the stored array (H, W) or (H, W, 3) and the unit's name, and returns such pixels.

    Example::

        SAR = Modality("sar", unit="decibels", valid=(-40, 10), units={"decibels": Unit()}, encoding="stretch")
    """

    name: str
    channels: int = 1
    unit: str = FRACTION
    scale: float | None = None
    zero_is_missing: bool = False
    valid: tuple[float, float] = (0.0, 1.0)
    usual: tuple[float, float] | None = None
    units: Mapping[str, Unit | FullScale] = field(default_factory=lambda: {"full-scale": FullScale()}, hash=False)
    encoding: str = "copy"
    colours: str = "gray"
    decode: Callable[[NDArray[Any], str], NDArray[Any]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` where the values cannot be those of a modality."""
        if self.channels not in (1, 3) or not self.units or not self.valid[0] < self.valid[1]:
            raise ValueError(f"the modality {self.name!r} needs 1 or 3 channels, a unit, and a valid range low < high")

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtypes that pixels in memory may have, the narrowest first."""
        allowed: tuple[DTypeLike, ...] = (np.uint8, np.uint16, np.float32)
        if self.scale is not None:
            allowed = (np.uint16,)
        return tuple(np.dtype(one) for one in (allowed if self.channels == 1 else (np.uint8,)))

    def chosen_unit(self, told: str) -> str:
        """Return the unit of this modality among ``told`` (``A,B``), else its default: a run may have two sensors."""
        return next((name for name in told.split(",") if name in self.units), next(iter(self.units)))

    def default_encoding(self, told: str) -> str:
        """Return the encoding for files of the units ``told``."""
        return self.units[self.chosen_unit(told)].encoding or self.encoding

    def divisor(self, dtype: DTypeLike) -> float:
        """Return by what pixels of ``dtype`` in memory are divided to be in ``unit``."""
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return 1.0
        return float(np.iinfo(kind).max) if self.scale is None else self.scale

    def held_in(self, dtype: DTypeLike) -> Modality:
        """Return this modality as pixels of ``dtype`` hold it: integers without ``scale`` tell brightness alone."""
        if self.unit == FRACTION or self.scale is not None or np.dtype(dtype).kind == "f":
            return self
        return replace(self, unit=FRACTION, valid=(0.0, 1.0), usual=None)
