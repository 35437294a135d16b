"""Declarations of SOCKET for sfda-kit; the parts are imported on first use.

The functions behind the parts stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

from sfda_kit import Component, hookimpl
from sfda_kit_socket import deviations

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)  # dir() must go on to name the hooks

SFDA_KIT_INTERFACE = "1.3"
PAPER = "https://arxiv.org/abs/2209.04027"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    summary = "batch statistics match those stored in the source model"
    target = "sfda_kit_socket.bn_stats:BnStats"
    functions = ("bn_statistics_loss",)
    return [Component("bn-stats", target, summary, PAPER, deviations=deviations.BN_STATS, functions=functions, uses=())]


@hookimpl
def sfda_kit_register_labeler() -> list[Component]:
    target, summary = "sfda_kit_socket.centroid:OneRoundCentroid", "nearest centroid by distance, all classes"
    return [Component("one-round-centroid", target, summary, PAPER, functions=("one_round_centroid_labels",))]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_socket.socket"
    return [
        Component(
            "socket",
            f"{module}:SOCKET",
            "SHOT, source statistics and TI pairs, scale-free",
            PAPER,
            deviations=deviations.SOCKET,
        ),
        Component(
            "socket-official",
            f"{module}:SOCKET_OFFICIAL",
            "SOCKET as its authors' code has it",
            PAPER,
            presets="sfda_kit_socket:presets/socket-official",
            deviations=deviations.OFFICIAL,
        ),
    ]
