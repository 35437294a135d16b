"""Declarations of SOCKET for sfda-kit; the parts are imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"
PAPER = "https://arxiv.org/abs/2209.04027"


@hookimpl
def sfda_kit_register_aligner() -> list[Component]:
    target = "sfda_kit_socket.bn_stats:BnStats"
    return [Component("bn-stats", target, "batch statistics match those stored in the source model", PAPER)]


@hookimpl
def sfda_kit_register_method() -> list[Component]:
    module = "sfda_kit_socket.socket"
    return [
        Component("socket", f"{module}:SOCKET", "SHOT, source statistics and TI pairs, scale-free", PAPER),
        Component("socket-official", f"{module}:SOCKET_OFFICIAL", "SOCKET with the official sums", PAPER),
    ]
