"""Declaration of the executor ``ray``, which is imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"


@hookimpl
def sfda_kit_register_executor() -> list[Component]:
    target = "sfda_kit_ray.executor:RayExecutor"
    return [Component("ray", target, "the nodes of a Ray cluster, or this computer through Ray", "https://ray.io")]
