"""Declarations of PLUE for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, hookimpl
from sfda_kit_plue import deviations

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
PAPER = "https://arxiv.org/abs/2303.03770"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    return [
        Component(
            "guided-labels",
            "sfda_kit_plue.guided_labels:GuidedLabels",
            "labels of neighbours, weighted by their certainty",
            PAPER,
            deviations=deviations.GUIDED_LABELS,
            functions=("neighbour_labels", "draw_complementary_labels", "contrastive_loss", "plue_loss"),
            uses=(),
        )
    ]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    return [
        Component(
            "plue",
            "sfda_kit_plue.plue:PLUE",
            "negative learning on neighbours' labels, and contrast",
            PAPER,
            settings={"adapt": {"schedule": "constant", "weight_decay": 5e-4, "backbone_lr_factor": 1.0}},
            presets="sfda_kit_plue:presets/plue",
            deviations=deviations.PLUE,
        )
    ]
