"""Declarations of AdaBN, TENT and T3A for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl
from sfda_kit_tta import deviations

SFDA_KIT_INTERFACE = "1.3"


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_tta"
    adabn, tent = "https://arxiv.org/abs/1603.04779", "https://arxiv.org/abs/2006.10726"
    t3a = "https://openreview.net/forum?id=e_yvNqkJKAW"
    return [
        Component(
            "adabn",
            f"{module}.adabn:AdaBn",
            "BatchNorm statistics of the target, nothing trained",
            adabn,
            deviations=deviations.ADABN,
            uses=(),
        ),
        Component(
            "tent",
            f"{module}.tent:Tent",
            "scale and shift of norms, online, by least entropy",
            tent,
            deviations=deviations.TENT,
            uses=(),
        ),
        Component(
            "t3a",
            f"{module}.t3a:T3a",
            "class means of confident target features, online",
            t3a,
            deviations=deviations.T3A,
            uses=(),
        ),
    ]
