"""SHOT for sfda-kit: declarations only, parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

PAPER = "https://arxiv.org/abs/2002.08546"


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_shot.shot"
    return [
        Component("shot-im", f"{module}:SHOT_IM", "information maximisation, frozen classifier", PAPER),
        Component("shot", f"{module}:SHOT", "SHOT-IM and pseudo-labels from class centroids", PAPER),
    ]
