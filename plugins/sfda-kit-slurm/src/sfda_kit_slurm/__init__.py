"""Declaration of the executor ``slurm``, which is imported on first use."""

from __future__ import annotations

from sfda_kit import Component, hookimpl

SFDA_KIT_INTERFACE = "1.0"


@hookimpl
def sfda_kit_register_executor() -> list[Component]:
    target = "sfda_kit_slurm.executor:SlurmExecutor"
    link = "https://github.com/facebookincubator/submitit"
    return [Component("slurm", target, "job arrays of a Slurm cluster, requeued at their limit of time", link)]
