"""The modalities that sensors deliver, with their channels, unit and scale."""

from __future__ import annotations

from dataclasses import dataclass

from sfda_kit.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Modality:
    """A modality has ``channels`` stored channels; a stored integer divided by ``scale`` is a value in ``unit``."""

    name: str
    channels: int
    unit: str
    scale: float
    zero_is_missing: bool = False


MODALITIES = {
    m.name: m
    for m in (
        Modality("rgb", 3, "fraction of full scale", 255.0),
        Modality("nir", 1, "fraction of full scale", 255.0),
        Modality("swir", 1, "fraction of full scale", 255.0),
        Modality("thermal", 1, "fraction of full scale", 255.0),
        Modality("depth", 1, "metres", 1000.0, zero_is_missing=True),
    )
}


def modality(name: str) -> Modality:
    """Return the modality called ``name``. Raises ``UserError`` with the nearest names where there is none."""
    if name not in MODALITIES:
        raise UserError(f"Unknown modality {name!r}. {did_you_mean(name, MODALITIES)}")
    return MODALITIES[name]
