"""The training loop for all stages: source model, bridge and adaptation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sfda_kit import processes
from sfda_kit.device import gradient_scaler
from sfda_kit.errors import RunError
from sfda_kit.events import Event, Listener
from sfda_kit.models.split_pass import average_gradients
from sfda_kit.profiling import region
from sfda_kit.training.checkpoint import Checkpoint
from sfda_kit.training.optimizers import Optimizer

Term = tuple[float, Callable[[Any], Tensor]]


def _whole(signals: Any) -> Iterator[tuple[float, Any]]:
    yield 1.0, signals


FEWEST_STEPS = 10
"""The least steps of an epoch of adaptation or of a bridge by default, because very few steps train nothing."""


@dataclass(frozen=True)
class TrainingStage:
    """A training stage defines what is trained and how.

    ``modules``: everything that a checkpoint holds; ``signals(epoch, generator)``: yields one object per step, which
    each term turns into a scalar; ``terms``: weight and function by name; ``lr_factor(progress)``: factor on the
    initial rate of each group, progress in [0, 1); ``rate``: the key of that rate in the configuration, for messages;
    ``parts(signals)``: yields parts of a step with their shares of it, whose gradients are added before the step.
    """

    name: str
    epochs: int
    steps: int
    modules: Mapping[str, nn.Module]
    optimizer: Optimizer
    signals: Callable[[int, torch.Generator], Iterable[Any]]
    terms: Mapping[str, Term]
    lr_factor: Callable[[float], float]
    seed: int
    autocast: Callable[[], Any]
    rate: str = "adapt.lr"
    parts: Callable[[Any], Iterator[tuple[float, Any]]] = _whole


def train_stage(stage: TrainingStage, checkpoint: Checkpoint, listener: Listener) -> Iterator[int]:
    """Train epoch by epoch from ``checkpoint`` on, and yield the number of epochs done after each.

    An epoch is saved when the caller asks for the next one, so that the records of the caller are on disk first. Raises
    ``RunError`` on a loss or weight that is not finite. The last good checkpoint stays.
    """
    scaler = gradient_scaler(stage.autocast, _device(stage))
    rates = [group["lr"] for group in stage.optimizer.param_groups]
    done = checkpoint.load(stage.modules, stage.optimizer, listener, scaler)
    for group, rate in zip(stage.optimizer.param_groups, rates, strict=True):
        group["initial_lr"] = rate  # from the configuration, not the checkpoint, because a rollback lowers it
    processes.align(stage.modules)
    listener(Event("stage", stage.name, {"epochs": stage.epochs, "steps": stage.steps, "done": done}))
    for epoch in range(done, stage.epochs):
        _train_epoch(stage, epoch, listener, scaler)
        _check_weights(stage, epoch)
        processes.align(stage.modules)
        yield epoch + 1
        with region("checkpoint"):
            checkpoint.save(epoch + 1, stage.modules, stage.optimizer, scaler)


def _device(stage: TrainingStage) -> torch.device:
    parameters = (parameter for module in stage.modules.values() for parameter in module.parameters())
    return next(parameters, torch.zeros(0)).device


def _train_epoch(stage: TrainingStage, epoch: int, listener: Listener, scaler: torch.amp.GradScaler) -> None:
    generator = seeded_generator(stage.seed, stage.name, epoch)
    stage.optimizer.zero_grad(set_to_none=True)
    for step, signals in enumerate(stage.signals(epoch, generator)):
        progress = (epoch * stage.steps + step) / (stage.epochs * stage.steps)
        for group in stage.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * stage.lr_factor(progress)
        values = dict.fromkeys(stage.terms, 0.0)
        for share, part in stage.parts(signals):
            with stage.autocast(), region("loss terms"):
                losses = {name: weight * term(part) for name, (weight, term) in stage.terms.items()}
                total = share * torch.stack(list(losses.values())).sum()
            for name, value in _finite(losses, stage, epoch, step).items():
                values[name] += share * value
            with region("backward pass"):
                scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        with region("optimiser"):
            average_gradients(stage.optimizer.param_groups)  # before the scaler looks for values that are not finite
            scaler.step(stage.optimizer)  # type: ignore[arg-type]  # of an optimiser it needs no more
            scaler.update()
        stage.optimizer.zero_grad(set_to_none=True)  # no gradient lies beside the next passes or the evaluation
        listener(Event("step", stage.name, {"epoch": epoch, "step": step, "terms": values}))


def _finite(losses: Mapping[str, Tensor], stage: TrainingStage, epoch: int, step: int) -> dict[str, float]:
    # All terms share one transfer, because a separate .item() for each would stall an accelerator each time.
    values = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()
    named = dict(zip(losses, values, strict=True))
    for name, value in named.items():
        if not math.isfinite(value):
            raise RunError(
                f"The loss term {name!r} became {value} in stage {stage.name!r}, epoch {epoch + 1}, step "
                f"{step + 1}. The state after epoch {epoch} is kept. Lower the learning rate "
                f"(--set {stage.rate}=...) or the term's weight, or look at its input."
            )
    return named


def _check_weights(stage: TrainingStage, epoch: int) -> None:
    # The last step of an epoch can overflow with a finite loss; such weights must not become a checkpoint.
    for module_name, module in stage.modules.items():
        for name, parameter in module.named_parameters():
            if not torch.isfinite(parameter).all():
                raise RunError(
                    f"The weights {module_name}.{name} are no longer finite after epoch {epoch + 1} of stage "
                    f"{stage.name!r}. The state after epoch {epoch} is kept. Lower the learning rate "
                    f"(--set {stage.rate}=...)."
                )


def seeded_generator(seed: int, *names: object) -> torch.Generator:
    """Return a generator seeded by ``seed`` and ``names``, and seed the global generator alike (for dropout)."""
    text = ":".join(str(name) for name in (seed, *names))
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    torch.manual_seed(value)
    return torch.Generator().manual_seed(value)


def batches(count: int, size: int, generator: torch.Generator, drop_last: bool = True) -> Iterator[Tensor]:
    """Yield shuffled rows in batches of ``size``.

    With ``drop_last`` an incomplete last batch is left out unless it is the only one. Without, it is left out only if
    it holds a single row, because BatchNorm has no variance over one image.
    """
    rows = torch.randperm(count, generator=generator)
    full = count // size
    kept = full * size if full and (drop_last or count % size == 1) else count
    yield from torch.split(rows[:kept], size)


def endless(count: int, size: int, generator: torch.Generator, drop_last: bool = True) -> Iterator[Tensor]:
    """Yield the batches of one shuffled pass after another, or empty batches if ``count`` is 0."""
    while True:
        yield from batches(count, size, generator, drop_last) if count else [torch.empty(0, dtype=torch.long)]


def steps_per_epoch(
    count: int, size: int, wanted: int | Literal["auto", "pass"] = "pass", drop_last: bool = True
) -> int:
    """Return ``wanted``; for ``pass`` the number of batches in ``batches``; for ``auto`` at least ``FEWEST_STEPS``."""
    if isinstance(wanted, int):
        return wanted
    is_last_kept = not drop_last and count % size > 1
    return max(1 if wanted == "pass" else FEWEST_STEPS, count // size + is_last_kept)
