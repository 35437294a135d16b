"""The installed modalities by name. The shipped ones and those of plugins are declared alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.modality import Modality
from sfda_kit.plugins.discovery import registry

CORE = "sfda-kit"


def modality(name: str) -> Modality:
    """Return the modality called ``name``. Raises ``UserError`` with the nearest names where there is none."""
    if name not in (known := modality_names()):
        raise UserError(f"Unknown modality {name!r}. {did_you_mean(name, known)}")
    component = registry().get("modality", name)
    found = component.load()
    if not isinstance(found, Modality) or found.name != component.name:
        raise UserError(
            f"The modality {name!r} of {component.owner} is {found!r}; expected a sfda_kit.Modality of that name. "
            f"Report this to the authors of {component.owner}."
        )
    return found


def modality_names() -> tuple[str, ...]:
    """Return the names of all installed modalities, rgb first."""
    return tuple(sorted(registry().names("modality"), key=lambda name: (name != "rgb", name)))


def is_modality(name: str) -> bool:
    """Return whether there is a modality of this name; it is quick, as it is asked for every member of a shard."""
    return ("modality", name) in registry().components


def strange_modalities(*sensors: str) -> set[tuple[str, str]]:
    """Return kind and name of each modality of ``sensors`` (``MODALITY@DOMAIN``) that is a plugin's.

    Its code is part of what decides a result. For the core's own modalities the algorithm versions stand.
    """
    names = {sensor.partition("@")[0] for sensor in sensors}
    return {
        ("modality", name) for name in names if is_modality(name) and registry().get("modality", name).owner != CORE
    }


class EveryModality:
    """The attribute ``modalities`` of a data set that takes images of any installed modality."""

    def __get__(self, instance: Any, owner: Any = None) -> tuple[str, ...]:
        """Return their names, when they are asked for: a class may be made before all plugins are loaded."""
        return modality_names()


def check_unit(told: str | None, names: Iterable[str]) -> None:
    """Raise ``UserError`` unless each of the units ``told`` (``A,B``) is one of a modality among ``names``."""
    known = {name: list(modality(name).units) for name in names}
    for unit in told.split(",") if told else ():
        if not any(unit in units for units in known.values()):
            offered = "; ".join(f"{name}: {', '.join(units)}" for name, units in known.items())
            raise UserError(f"--unit {unit}: no image here has this unit. Known are {offered}.")
