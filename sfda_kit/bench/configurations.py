"""The configurations of a method in a suite: every method has the same number of tries, and one validator chooses.

The method as it is counts as the first configuration, called ``plain``. The others stand under ``configurations``, as
settings that lie over those of the method. A configuration tunes the adaptation alone: data, network and source model
are those of the plain configuration, also where a published preset names others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfda_kit.config.models import MOST_CONFIGURATIONS, RunConfig, TuningConfig
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.plugins.discovery import registry

PLAIN = "plain"
"""The name of the first configuration of each method that has several: the method as it is."""
TUNED = ("preset", "encoding", "adapt", "bridge_training", "recipe")
"""The settings that a configuration may have."""
SHARED = ("dataset", "model", "source", "compute")
"""The sections that all configurations of a method share."""
WITH_LABELS = ("oracle", "accuracy", "auroc", "calibration", "regret")
"""Words in the names of what is computed from target labels."""


def check_configurations(methods: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``ValueError`` where a method has too many configurations, or one that is no change of its adaptation."""
    for method, settings in methods.items():
        found = settings.get("configurations", {})
        if not (isinstance(found, Mapping) and all(isinstance(one, Mapping) for one in found.values())):
            raise ValueError(f"{method}: configurations is {found!r}; expected NAME: SETTINGS for each of them")
        if len(found) >= MOST_CONFIGURATIONS:
            raise ValueError(
                f"{method} has {len(found) + 1} configurations, with the method as it is ({PLAIN!r}). A method may "
                f"have at most {MOST_CONFIGURATIONS}: leave out {len(found) + 1 - MOST_CONFIGURATIONS} of them"
            )
        if PLAIN in found:
            raise ValueError(f"{method}: {PLAIN!r} is the method as it is; call this configuration something else")
        for name, changes in found.items():
            if foreign := sorted(set(changes) - set(TUNED)):
                raise ValueError(
                    f"{method}, configuration {name!r}: {foreign[0]!r} does not belong here. A configuration may "
                    f"change {', '.join(TUNED)}; the rest is the same for all configurations of a method"
                )


def check_chooser(chosen_by: PartConfig | None) -> None:
    """Raise ``ValueError`` where what should choose would need target labels."""
    if chosen_by and any(word in chosen_by.name for word in WITH_LABELS):
        raise ValueError(
            f"chosen_by: {chosen_by.name!r} needs target labels, and configurations are chosen without them. Name a "
            "validator, such as infomax; rows called oracle-tuned show on the board what labels would have chosen"
        )


def has_configurations(methods: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether any method has more than one configuration."""
    return any(settings.get("configurations") for settings in methods.values())


def configurations_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a method's configurations, the plain one first; a single empty name where it has no other."""
    return (PLAIN, *found) if (found := settings.get("configurations")) else ("",)


def row_name(method: str, configuration: str) -> str:
    """Return the method, and which of its configurations it is where there are several (else empty)."""
    return f"{method} ({configuration})" if configuration else method


def as_configuration(plain: RunConfig, changed: RunConfig, tuning: TuningConfig) -> RunConfig:
    """Return ``changed``, a configuration of a method, with the data, network and source model of ``plain``."""
    return changed.model_copy(update={section: getattr(plain, section) for section in SHARED} | {"tuning": tuning})


def check_choice(chosen_by: PartConfig, config: RunConfig) -> None:
    """Raise ``UserError`` for an unknown validator, or where another one selects the epoch of the cell."""
    registry().get("validator", chosen_by.name)
    select = config.adapt.select
    if select.name != "last" and select != config.adapt.validator:
        raise UserError(
            f"{select.name} selects the epoch (adapt.select), and {chosen_by.name} chooses the configuration "
            "(chosen_by of the suite). Let one validator do both, with the same options, or set adapt.select to last."
        )
