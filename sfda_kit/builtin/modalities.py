"""The shipped modalities."""

from __future__ import annotations

from sfda_kit.data.colour_pixels import rgb_pixels
from sfda_kit.data.depth_units import seen_millimetres
from sfda_kit.interfaces.modality import FullScale, Modality, Unit

_CELSIUS_OF_KELVIN = -273.15


def _bits(number: int) -> FullScale:
    return FullScale(number, containers=("16-bit",))


RGB = Modality("rgb", channels=3, decode=rgb_pixels)

DEPTH = Modality(
    "depth",
    unit="metres",
    scale=1000.0,
    zero_is_missing=True,
    valid=(0.0, 65.535),
    usual=(0.2, 20.0),
    units={
        "mm": Unit(0.001),
        "m": Unit(containers=("float",)),
        "sun-rgbd-bits": Unit(0.001, containers=("16-bit",)),  # its bits are rotated, see ``decode``
    },
    colours="viridis_r",
    decode=seen_millimetres,
)

_INFRARED = {"full-scale": FullScale(), "10-bit": _bits(10), "12-bit": _bits(12), "14-bit": _bits(14)}
NIR = Modality("nir", units=_INFRARED)
SWIR = Modality("swir", units=_INFRARED)

THERMAL = Modality(
    "thermal",
    unit="degrees Celsius",
    valid=(-100.0, 2000.0),
    usual=(-40.0, 120.0),
    units={
        # 16 bits may be temperatures or raw counts, so they have to be stated.
        "full-scale": FullScale(containers=("8-bit", "float"), encoding="copy"),
        "centikelvin": Unit(0.01, _CELSIUS_OF_KELVIN),  # radiometric PNG and TIFF of FLIR
        "decikelvin": Unit(0.1, _CELSIUS_OF_KELVIN),  # of DJI
        "kelvin": Unit(1.0, _CELSIUS_OF_KELVIN),
        "celsius": Unit(),
        "14-bit": _bits(14),
        "16-bit": _bits(16),
    },
    encoding="stretch",
    colours="inferno",
)
