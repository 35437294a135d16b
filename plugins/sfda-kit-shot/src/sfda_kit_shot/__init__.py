"""Declarations of SHOT and SHOT++ for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"
PAPER = "https://arxiv.org/abs/2002.08546"
PLUS_PLUS = "https://arxiv.org/abs/2012.07297"
MIXMATCH = "https://arxiv.org/abs/1905.02249"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    package = "sfda_kit_shot"
    return [
        Component(
            "relative-rotation", f"{package}.rotation:RelativeRotation", "turned by how many quarters", PLUS_PLUS
        ),
        Component("mixmatch", f"{package}.mixmatch:MixMatch", "labelled and unlabelled images mixed", MIXMATCH),
    ]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target = "sfda_kit_shot.entropy_split:EntropySplit"
    return [Component("entropy-split", target, "the confident part of each predicted class", PLUS_PLUS)]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module, later = "sfda_kit_shot.shot", "sfda_kit_shot.shot_plus_plus:SHOT_PLUS_PLUS"
    return [
        Component("shot-im", f"{module}:SHOT_IM", "information maximisation, frozen classifier", PAPER),
        Component("shot", f"{module}:SHOT", "SHOT-IM and pseudo-labels from class centroids", PAPER),
        Component("shot-plus-plus", later, "SHOT with rotation, then MixMatch from easy to hard", PLUS_PLUS),
    ]
