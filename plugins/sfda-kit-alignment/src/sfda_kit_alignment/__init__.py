"""Declarations of aligners that compare the halves of TI pairs for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"
DISTILLATION = "https://arxiv.org/abs/1503.02531"
MMD = "https://jmlr.org/papers/v13/gretton12a.html"
CORAL = "https://arxiv.org/abs/1607.01719"
DANN = "https://arxiv.org/abs/1505.07818"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    package = "sfda_kit_alignment"
    return [
        Component("ti-predictions", f"{package}.predictions:TiPredictions", "predictions agree", DISTILLATION),
        Component("ti-mmd", f"{package}.mmd:TiMmd", "kernel mean embeddings of the features agree", MMD),
        Component("ti-coral", f"{package}.coral:TiCoral", "covariances of the features agree", CORAL),
        Component("ti-adversarial", f"{package}.adversarial:TiAdversarial", "no discriminator tells them apart", DANN),
    ]
