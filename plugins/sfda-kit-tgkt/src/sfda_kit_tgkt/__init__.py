"""Declarations of TGMB and TGKT for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, hookimpl
from sfda_kit_tgkt import deviations

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
PAPER = "https://arxiv.org/abs/2401.05014"


@hookimpl
def sfda_kit_register_bridge() -> list[Component]:
    return [
        Component(
            "affine", "sfda_kit_tgkt.affine:Affine", "one colour matrix for all pixels (1x1)", PAPER, uses=("pairs",)
        ),
        Component(
            "fcbnconv", "sfda_kit_tgkt.fcbnconv:FcBnConv", "per-pixel FC, BatchNorm, conv", PAPER, uses=("pairs",)
        ),
        Component(
            "vqgan",
            "sfda_kit_tgkt.vqgan:VqGan",
            "vector-quantised, adversarial",
            "https://arxiv.org/abs/2012.09841",
            deviations=deviations.VQGAN,
            uses=("pairs",),
        ),
        Component("unet", "sfda_kit_tgkt.unet:UNet", "small residual U-Net (default)", PAPER, uses=("pairs",)),
    ]


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    target = "sfda_kit_tgkt.distill:Distill"
    summary = "the source model's answers on bridged images"
    return [Component("distill", target, summary, PAPER, functions=("distillation_loss",), uses=())]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_tgkt.recipes"
    return [
        Component(
            "tgmb",
            f"{module}:TGMB",
            "bridge to source-like images, source model as it is",
            PAPER,
            deviations=(deviations.BRIDGE, *deviations.OBJECTIVE),
        ),
        Component(
            "tgmb-paper",
            f"{module}:TGMB_PAPER",
            "TGMB with the paper's bridge and objective",
            PAPER,
            deviations=deviations.OBJECTIVE,
        ),
        Component(
            "tgkt",
            f"{module}:TGKT",
            "a target model taught through the bridge",
            PAPER,
            deviations=(*deviations.TRANSFER, deviations.BRIDGE, *deviations.OBJECTIVE),
        ),
        Component(
            "tgkt-joint",
            f"{module}:TGKT_JOINT",
            "TGKT, bridge and target model trained at once",
            PAPER,
            deviations=(deviations.JOINT, *deviations.TRANSFER, deviations.BRIDGE, *deviations.OBJECTIVE),
        ),
    ]
