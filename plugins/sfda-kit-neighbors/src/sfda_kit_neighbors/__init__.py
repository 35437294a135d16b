"""Declarations of NRC, AaD and CoWA-JMDS for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, hookimpl
from sfda_kit_neighbors import deviations

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
NRC = "https://arxiv.org/abs/2110.04202"
AAD = "https://arxiv.org/abs/2205.04183"
COWA_JMDS = "https://arxiv.org/abs/2206.06640"
PUBLISHED_CLASSIFIER_RATE = {"adapt": {"classifier_lr_factor": 0.1}}
"""The classifier learns at 1e-3 as in all published runs, also where the bottleneck has the run's default of 1e-2."""


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    nrc, aad, cowa = (f"sfda_kit_neighbors.{module}" for module in ("nrc", "aad", "cowa_jmds"))
    return [
        Component(
            "reciprocal-neighbors",
            f"{nrc}:ReciprocalNeighbors",
            "nearest neighbours predict alike",
            NRC,
            deviations=deviations.RECIPROCAL_NEIGHBORS,
            functions=("neighbour_search", "nrc_loss"),
            uses=(),
        ),
        Component(
            "diversity",
            f"{nrc}:Diversity",
            "the mean prediction is spread over all classes",
            NRC,
            deviations=deviations.DIVERSITY,
            functions=("diversity_loss",),
            uses=(),
        ),
        Component(
            "attraction",
            f"{aad}:Attraction",
            "predictions agree with those of near images",
            AAD,
            deviations=deviations.ATTRACTION,
            functions=("neighbour_search", "attraction_loss"),
            uses=(),
        ),
        Component(
            "dispersion",
            f"{aad}:Dispersion",
            "predictions differ within a batch",
            AAD,
            functions=("dispersion_loss",),
            uses=(),
        ),
        Component(
            "weighted-mixup",
            f"{cowa}:WeightedMixup",
            "images, labels and their weights mixed",
            COWA_JMDS,
            deviations=deviations.WEIGHTED_MIXUP,
            functions=("draw_mixup", "mixup", "weighted_mixup_loss"),
            uses=(),
        ),
    ]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target, summary = "sfda_kit_neighbors.jmds:Jmds", "Gaussian mixture over features, weighted by confidence"
    return [Component("jmds", target, summary, COWA_JMDS, deviations=deviations.JMDS, functions=("jmds_labels",))]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_neighbors"
    return [
        Component(
            "nrc",
            f"{module}.nrc:NRC",
            "reciprocal neighbours and their neighbours agree",
            NRC,
            settings=PUBLISHED_CLASSIFIER_RATE,
            presets=f"{module}:presets/nrc",
            deviations=deviations.NRC,
            uses=(),  # what its parts use; known without an import of torch
        ),
        Component(
            "aad",
            f"{module}.aad:AAD",
            "attract nearest neighbours, disperse the others",
            AAD,
            settings=PUBLISHED_CLASSIFIER_RATE,
            presets=f"{module}:presets/aad",
            deviations=deviations.AAD,
            uses=(),  # what its parts use; known without an import of torch
        ),
        Component(
            "cowa-jmds",
            f"{module}.cowa_jmds:COWA_JMDS",
            "weighted mixup of pseudo-labels",
            COWA_JMDS,
            settings={"adapt": {"classifier_lr_factor": 0.1, "schedule": "constant"}},
            presets=f"{module}:presets/cowa-jmds",
            deviations=deviations.COWA_JMDS,
            uses=(),  # what its parts use; known without an import of torch
        ),
    ]
