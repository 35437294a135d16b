"""Declarations of PLUE for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"
PAPER = "https://arxiv.org/abs/2303.03770"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    target = "sfda_kit_plue.guided_labels:GuidedLabels"
    return [Component("guided-labels", target, "labels of neighbours, weighted by their certainty", PAPER)]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    target = "sfda_kit_plue.plue:PLUE"
    return [Component("plue", target, "negative learning on neighbours' labels, and contrast", PAPER)]
