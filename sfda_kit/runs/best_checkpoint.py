"""The saved state of one epoch, which becomes the result of the run if no later epoch replaces it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sfda_kit import processes
from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.checksums import DamagedFileError
from sfda_kit.errors import RunError
from sfda_kit.training.checkpoint import load_state, save_state

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import EpochState


class SavedEpoch(NamedTuple):
    """This is the epoch that is on disk, with its score."""

    phase: str
    epoch: int
    epochs: int
    score: float | None


class BestCheckpoint:
    """The best checkpoint is a file with the weights and the bank of one epoch.
    It keeps the bank because the bank of a method that answers while it adapts cannot be computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: EpochState, score: float | None) -> None:
        """Replace the kept epoch by ``state``, atomically."""
        about = SavedEpoch(state.phase, state.epoch, state.epochs, score)
        bank = {"features": state.bank.features, "logits": state.bank.logits}
        if processes.is_first():
            save_state({"about": about._asdict(), "model": state.model.state_dict(), "bank": bank}, self.path)
        self.epoch = about

    @cached_property
    def epoch(self) -> SavedEpoch | None:
        """The epoch on disk, None while there is none. Raises ``DamagedFileError``."""
        return processes.by_first(self._read)

    def _read(self) -> SavedEpoch | None:
        return SavedEpoch(**load_state(self.path)["about"]) if self.path.exists() else None

    def restore(self, last: EpochState) -> EpochState:
        """Return the kept epoch, with its weights in the model of ``last``, the run's latest state, else ``last``.
        Raises ``RunError`` where the file was damaged since the run began or went on."""
        found = self.epoch
        if found is None or (found.phase, found.epoch) == (last.phase, last.epoch):
            return last
        try:
            state: dict[str, Any] = processes.by_first(lambda: load_state(self.path))
        except DamagedFileError as error:
            raise RunError(
                f"The kept state {self.path} is damaged ({error}). Run the same command with --resume to adapt again."
            ) from None
        last.model.load_state_dict(state["model"])
        bank = FeatureBank(**{name: tensor.to(last.bank.logits.device) for name, tensor in state["bank"].items()})
        return replace(last, phase=found.phase, epoch=found.epoch, epochs=found.epochs, bank=bank, diagnostics={})
