"""Declarations of SHOT and SHOT++ for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, hookimpl
from sfda_kit_shot import deviations

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
PAPER = "https://arxiv.org/abs/2002.08546"
PLUS_PLUS = "https://arxiv.org/abs/2012.07297"
MIXMATCH = "https://arxiv.org/abs/1905.02249"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    return [
        Component(
            "relative-rotation",
            "sfda_kit_shot.rotation:RelativeRotation",
            "turned by how many quarters",
            PLUS_PLUS,
            deviations=deviations.ROTATION,
            functions=("draw_rotations", "relative_rotation_loss"),
            uses=(),
        ),
        Component(
            "mixmatch",
            "sfda_kit_shot.mixmatch:MixMatch",
            "labelled and unlabelled images mixed",
            MIXMATCH,
            deviations=deviations.MIXMATCH,
            functions=("sharpen", "mixmatch_mixup", "mixmatch_loss"),
            uses=(),
        ),
    ]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target, summary = "sfda_kit_shot.entropy_split:EntropySplit", "the confident part of each predicted class"
    functions = ("entropy_split_labels",)
    return [Component("entropy-split", target, summary, PLUS_PLUS, deviations=deviations.SPLIT, functions=functions)]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component(
            "shot-im",
            "sfda_kit_shot.shot:SHOT_IM",
            "information maximisation, frozen classifier",
            PAPER,
            presets="sfda_kit_shot:presets/shot-im",
            deviations=deviations.SHOT_IM,
        ),
        Component(
            "shot",
            "sfda_kit_shot.shot:SHOT",
            "SHOT-IM and pseudo-labels from class centroids",
            PAPER,
            presets="sfda_kit_shot:presets/shot",
            deviations=deviations.SHOT,
        ),
        Component(
            "shot-plus-plus",
            "sfda_kit_shot.shot_plus_plus:SHOT_PLUS_PLUS",
            "SHOT with rotation, then MixMatch from easy to hard",
            PLUS_PLUS,
            presets="sfda_kit_shot:presets/shot-plus-plus",
            deviations=deviations.SHOT_PLUS_PLUS,
        ),
    ]
