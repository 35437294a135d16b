"""Training state on disk. A killed run continues from it bit for bit."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfda_kit import processes
from sfda_kit.checksums import ASIDE, DamagedFileError, check_sealed, read_sealed, sealed_file, set_aside
from sfda_kit.errors import UserError
from sfda_kit.events import Event, Listener, silent
from sfda_kit.files import explain_write_errors
from sfda_kit.scratch import LARGE_BYTES
from sfda_kit.training.optimizers import Optimizer


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write ``state`` with its checksum, atomically and piece by piece. A full disk is a ``UserError``."""
    with sealed_file(path) as file:
        torch.save(dict(state), file)  # type: ignore[arg-type]  # torch uses no more than write and flush


def load_state(path: Path) -> dict[str, Any]:
    """Return what ``save_state`` wrote, on the CPU. A large file is mapped. Raises ``DamagedFileError``.

    A mapped file stays as it was, since a new state never overwrites it but takes its place. Windows would not allow
    that while it is mapped, so there it is read whole.
    """
    if path.exists() and path.stat().st_size > LARGE_BYTES and os.name == "posix":
        check_sealed(path)
        mapped: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return mapped
    state: dict[str, Any] = torch.load(io.BytesIO(read_sealed(path)), map_location="cpu", weights_only=True)
    return state


@dataclass(frozen=True)
class Checkpoint:
    """The state of a stage after its last finished epoch. Epochs draw random numbers from (seed, stage, epoch).

    The state of the epoch before is kept beside it, for the case that this one is damaged.
    """

    path: Path

    @property
    def _previous(self) -> Path:
        """The file of the epoch before."""
        return self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")

    def save(
        self,
        epochs_done: int,
        modules: Mapping[str, nn.Module],
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        """Write the state, so that a kill at any moment leaves this state or that of the epoch before.

        Of several processes only the first writes.
        """
        if not processes.is_first():
            return
        with explain_write_errors(self.path):
            if self.path.exists():
                self.path.replace(self._previous)
        state = {
            "epochs_done": epochs_done,
            "modules": {name: module.state_dict() for name, module in modules.items()},
            "optimizer": optimizer.state_dict(),
        }
        if scaler and scaler.is_enabled():
            state["scaler"] = scaler.state_dict()
        save_state(state, self.path)

    def load(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: Optimizer,
        listener: Listener = silent,
        scaler: torch.amp.GradScaler | None = None,
    ) -> int:
        """Restore the state and return the epochs done (0 without a checkpoint).

        A damaged file is set aside with a notice, and the state of the epoch before is used, or none. Raises
        ``UserError`` where a whole file does not fit the modules.
        """
        found = processes.by_first(lambda: self._read(listener))
        return self._restore(*found, modules, optimizer, scaler) if found else 0

    def _read(self, listener: Listener) -> tuple[Path, dict[str, Any]] | None:
        for path in (self.path, self._previous):
            if path.exists():
                try:
                    with _of_another_run(path):
                        return path, load_state(path)
                except DamagedFileError as error:
                    text = f"the checkpoint {path} is damaged ({error}): set aside as {set_aside(path).name}"
                    listener(Event("notice", data={"text": f"{text}; its epochs are trained again"}))
        return None

    def remove(self) -> None:
        """Remove all files of a stage that has ended."""
        if not processes.is_first():
            return
        for path in (self.path, self._previous):
            path.unlink(missing_ok=True)
            path.with_name(path.name + ASIDE).unlink(missing_ok=True)

    def _restore(
        self,
        path: Path,
        state: Mapping[str, Any],
        modules: Mapping[str, nn.Module],
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler | None,
    ) -> int:
        with _of_another_run(path):
            for name, module in modules.items():
                module.load_state_dict(state["modules"][name])
            optimizer.load_state_dict(state["optimizer"])
            if scaler and scaler.is_enabled():
                scaler.load_state_dict(state["scaler"])
            return int(state["epochs_done"])


@contextmanager
def _of_another_run(path: Path) -> Iterator[None]:
    """Turn what is raised where a file does not fit the modules into ``UserError``."""
    try:
        yield
    except (RuntimeError, LookupError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"The checkpoint {path} does not belong to this run ({reason}). Delete it to start this stage again."
        ) from None
