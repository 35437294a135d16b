"""Modality is a type: unit, valid range and channels of what a sensor delivers."""

from __future__ import annotations

from dataclasses import dataclass

from sfda_kit.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Modality:
    """``channels`` as stored; ``scale`` divides stored integers to give ``unit``."""

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
    """The modality called ``name``; raises ``UserError`` with the nearest names."""
    if name not in MODALITIES:
        raise UserError(f"Unknown modality {name!r}. {did_you_mean(name, MODALITIES)}")
    return MODALITIES[name]
