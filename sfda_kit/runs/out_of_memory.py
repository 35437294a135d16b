"""What a run says where memory runs out: in which stage, and which batch fits."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.device import choose_device, return_freed_memory
from sfda_kit.errors import RunError
from sfda_kit.runs.memory import BATCHES, probe_of

if TYPE_CHECKING:
    from sfda_kit.events import Event
    from sfda_kit.runs.plan import MethodPlan

AGAIN = "or free memory and run the same command with --resume."


class StageInProgress:
    """A listener that knows the ``name`` of the stage that trains. It holds nothing else, because methods reach it."""

    name = ""

    def __call__(self, event: Event) -> None:
        """Note a stage that begins."""
        if event.kind == "stage":
            self.name = event.stage


def out_of_memory(error: BaseException, plan: MethodPlan, task: Mapping[str, Any], stage: str) -> RunError:
    """Return the error of a run that ran out of memory in ``stage``, the name of a stage of the training loop.

    What the failed steps held is dropped, and then half of the batch, a quarter and so on are tried, each in a process
    of its own (``memory.py``), until one fits. ``task``: as a record describes it.
    """
    traceback.clear_frames(error.__traceback__)
    return_freed_memory(choose_device(plan.config.compute))
    kind = stage if stage in ("source", "bridge") else "adaptation"
    try:
        probe = probe_of(plan, task, kind)
        fits = probe.largest()
    except RunError as failure:  # what was tried failed in another way
        return RunError(f"There is not enough memory in the stage {stage!r}: give a smaller batch, {AGAIN} ({failure})")
    where = f"There is not enough memory for {probe.batch} images in a step of the stage {stage!r}"
    if fits is None:
        return RunError(f"{where}, nor for 2: give smaller images (--image-size) or a smaller --backbone, {AGAIN}")
    option = BATCHES["source" if kind == "adaptation" and plan.labelled else kind][1].format(fits)
    return RunError(f"{where}, and {fits} fit: give {option}, {AGAIN}")
