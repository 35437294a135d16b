"""Declaration of the recommended composition; its parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.3"


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component(
            "bridged",
            "sfda_kit_bridged.bridged:BRIDGED",
            "a bridge, TI pairs first, then target images",
            alias="recommended",
            settings={"adapt": {"augmentation": "strong"}},
            tuned_on=("rooms", "nyu11", "nyu11-ti21"),
        )
    ]
