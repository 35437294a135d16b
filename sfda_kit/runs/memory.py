"""What a run takes of memory, found by making the first steps of its stages in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sfda_kit.device import CPU_BATCH, choose_device, free_memory
from sfda_kit.errors import RunError

if TYPE_CHECKING:
    from sfda_kit.runs.plan import MethodPlan

NO_MEMORY = 3
"""The exit code of a probe that ran out of memory."""
LEAST = 2
"""The smallest batch, because BatchNorm has no variance over one image."""
BATCHES = {
    "source": ("source.batch_size", "--set source.batch_size={}"),
    "bridge": ("bridge_training.batch_size", "--set bridge_training.batch_size={}"),
    "adaptation": ("adapt.batch_size", "--batch-size {}"),
    "passes": ("adapt.evaluation_batch_size", "--set adapt.evaluation_batch_size={}"),
}
"""The key of each stage's batch size, and how a user gives it."""


@dataclass(frozen=True)
class MemoryProbe:
    """A probe names a stage of a run: ``source``, ``bridge``, ``adaptation``, or ``passes`` without gradients.

    ``config``: the configuration as JSON. ``source`` and ``target`` are modalities. ``limit``: the most bytes that it
    may take, 0 for no limit.
    """

    config: Mapping[str, Any]
    stage: str
    batch: int
    classes: int
    source: str
    target: str
    has_pairs: bool
    limit: int = 0

    def peak(self) -> float | None:
        """Return the peak in MiB, None where memory runs out. Raises ``RunError`` where the stage fails otherwise."""
        command = [sys.executable, "-m", "sfda_kit.runs.memory_probe"]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
            pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": words, "text": True}
            with suppress(BrokenPipeError), subprocess.Popen(command, **pipes) as child:
                assert child.stdin is not None
                assert child.stdout is not None
                with suppress(BrokenPipeError):  # it died before it read: its exit code says so
                    child.stdin.write(json.dumps(asdict(self)) + "\n")
                    child.stdin.flush()  # it stays open, because the child ends when it closes
                found, code = child.stdout.read(), child.wait()
            words.seek(0)
            said = words.read()
        if code == NO_MEMORY or code < 0 or any(word in said for word in ("MemoryError", "allocate memory")):
            return None
        if code:
            reason = said.strip().splitlines()[-1:] or [f"exit code {code}"]
            raise RunError(f"The memory of the stage {self.stage!r} could not be measured: {reason[0]}")
        return float(found)

    def largest(self) -> int | None:
        """Return the first of half, a quarter, ... of the batch whose steps fit into memory, None where none does."""
        batch = self.batch // 2
        while batch >= LEAST:
            if replace(self, batch=batch).peak() is not None:
                return batch
            batch //= 2
        return None


@dataclass(frozen=True)
class StageMemory:
    """The memory of one stage: ``peak`` and ``images`` (mapped files, which the system can take back) in MiB.

    ``peak`` None: it does not fit. ``largest``: about the largest batch that fits, None where not even two images do.
    """

    stage: str
    batch: int
    peak: float | None
    images: float
    largest: int | None


def probe_of(plan: MethodPlan, task: Mapping[str, Any], stage: str, limit: int = 0) -> MemoryProbe:
    """Return the probe of a stage of the run of ``plan`` on ``task``, which is described as in a record."""
    config = plan.config.model_dump(mode="json")
    source, target = (str(task[role]).partition("@")[0] for role in ("source", "target"))
    has_pairs = bool(task["images"].get("ti"))
    return MemoryProbe(config, stage, batch_of(plan, stage), len(task["classes"]), source, target, has_pairs, limit)


def batch_of(plan: MethodPlan, stage: str) -> int:
    """Return the batch of a stage; that of the oracle is the source's, and a CPU takes few images without gradients."""
    config = plan.config
    part, key = BATCHES["source" if stage == "adaptation" and plan.labelled else stage][0].split(".")
    size = int(getattr(getattr(config, part), key))
    return min(size, CPU_BATCH) if stage == "passes" and choose_device(config.compute).type == "cpu" else size


def stages_of(plan: MethodPlan) -> Iterator[str]:
    """Yield the stages of a run whose source model and bridges lie in no cache."""
    if not plan.config.source.cards:
        yield "source"
    joint = plan.recipe.joint_bridge
    if any(_is_trained(part) for role, part in plan.recipe.bridges().items() if role != joint):
        yield "bridge"
    if plan.recipe.phases or plan.labelled or (plan.has_own_loop and not plan.opens_views):
        yield "adaptation"
    yield "passes"


def _is_trained(part: Any) -> bool:
    from sfda_kit.plugins.discovery import build_part

    return bool(build_part("bridge", part.name, part.options).trained)


def memory_of(
    plan: MethodPlan, task: Mapping[str, Any], image_bytes: Mapping[str, float], largest: bool = True
) -> Iterator[StageMemory]:
    """Yield the memory of each stage. ``image_bytes``: the size of the mapped images of each stage.

    Memory grows in proportion to the batch beyond a fixed part. So the largest batch that fits follows from two
    measurements, with the batch and with half of it.
    """
    device = choose_device(plan.config.compute)
    free = free_memory(device)
    limit = free if device.type == "cpu" else 0  # an accelerator fails by itself
    for stage in stages_of(plan):
        probe, images = probe_of(plan, task, stage, limit), image_bytes.get(stage, 0.0) / 2**20
        if largest:
            yield _measured(probe, free / 2**20, images)
        else:
            yield StageMemory(stage, probe.batch, probe.peak(), images, None)


def _measured(probe: MemoryProbe, free: float, images: float) -> StageMemory:
    peak, batch, fits = probe.peak(), probe.batch, probe.batch
    if probe.stage == "passes" and peak is not None:  # it follows the device, and rarely takes the most
        return StageMemory(probe.stage, batch, peak, images, batch)
    if peak is None:
        found = probe.largest()
        if found is None:
            return StageMemory(probe.stage, batch, None, images, None)
        fits = found
    half = max(LEAST, fits // 2)
    upper = peak if peak is not None else replace(probe, batch=fits).peak()
    lower = replace(probe, batch=half).peak() if half < fits else None
    if upper is None or lower is None or upper <= lower:
        return StageMemory(probe.stage, batch, peak, images, fits)
    each = (upper - lower) / (fits - half)
    most = int(half + (free - lower) / each)
    return StageMemory(probe.stage, batch, peak, images, max(fits, most) if peak is not None else min(most, batch - 1))
