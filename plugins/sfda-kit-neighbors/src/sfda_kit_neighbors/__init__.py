"""Declarations of NRC, AaD and CoWA-JMDS for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl
from sfda_kit_neighbors import deviations

SFDA_KIT_INTERFACE = "1.1"
NRC = "https://arxiv.org/abs/2110.04202"
AAD = "https://arxiv.org/abs/2205.04183"
COWA_JMDS = "https://arxiv.org/abs/2206.06640"


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
        ),
        Component(
            "diversity",
            f"{nrc}:Diversity",
            "the mean prediction is spread over all classes",
            NRC,
            deviations=deviations.DIVERSITY,
        ),
        Component(
            "attraction",
            f"{aad}:Attraction",
            "predictions agree with those of near images",
            AAD,
            deviations=deviations.ATTRACTION,
        ),
        Component("dispersion", f"{aad}:Dispersion", "predictions differ within a batch", AAD),
        Component(
            "weighted-mixup",
            f"{cowa}:WeightedMixup",
            "images, labels and their weights mixed",
            COWA_JMDS,
            deviations=deviations.WEIGHTED_MIXUP,
        ),
    ]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target, summary = "sfda_kit_neighbors.jmds:Jmds", "Gaussian mixture over features, weighted by confidence"
    return [Component("jmds", target, summary, COWA_JMDS, deviations=deviations.JMDS)]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_neighbors"
    return [
        Component(
            "nrc",
            f"{module}.nrc:NRC",
            "reciprocal neighbours and their neighbours agree",
            NRC,
            presets=f"{module}:presets/nrc",
            deviations=deviations.NRC,
        ),
        Component(
            "aad",
            f"{module}.aad:AAD",
            "attract nearest neighbours, disperse the others",
            AAD,
            presets=f"{module}:presets/aad",
            deviations=deviations.AAD,
        ),
        Component(
            "cowa-jmds",
            f"{module}.cowa_jmds:COWA_JMDS",
            "weighted mixup of pseudo-labels",
            COWA_JMDS,
            settings={"adapt": {"classifier_lr_factor": 0.1, "schedule": "constant"}},
            presets=f"{module}:presets/cowa-jmds",
            deviations=deviations.COWA_JMDS,
        ),
    ]
