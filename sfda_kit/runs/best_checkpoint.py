"""The saved state of one epoch, which becomes the result of the run if no later epoch replaces it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from sfda_kit.adaptation.feature_bank import FeatureBank
from sfda_kit.errors import UserError
from sfda_kit.files import atomic

if TYPE_CHECKING:
    from sfda_kit.interfaces.method import EpochState

MODEL, BANK = "model.", "bank."


class SavedEpoch(NamedTuple):
    """This is the epoch that is on disk, with its score."""

    phase: str
    epoch: int
    epochs: int
    score: float | None


class BestCheckpoint:
    """The best checkpoint is a file with the weights and the bank of one epoch as safetensors.
    It keeps the bank because the bank of a method that answers while it adapts cannot be computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, state: EpochState, score: float | None) -> None:
        """Replace the kept epoch by ``state``, atomically."""
        tensors = {MODEL + name: tensor for name, tensor in state.model.state_dict().items()}
        tensors |= {BANK + "features": state.bank.features, BANK + "logits": state.bank.logits}
        # Each name gets a copy, because safetensors refuses two names for one tensor (shared weights).
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        about = {"phase": state.phase, "epoch": str(state.epoch), "epochs": str(state.epochs)}
        with atomic(self.path) as work:
            save_file(tensors, work, about | ({} if score is None else {"score": repr(score)}))

    def kept(self) -> SavedEpoch | None:
        """Return the epoch on disk, None while there is none. Raises ``UserError`` when the file is damaged."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                about = file.metadata()
            score = float(about["score"]) if "score" in about else None
            return SavedEpoch(about["phase"], int(about["epoch"]), int(about["epochs"]), score)
        except (SafetensorError, KeyError, TypeError) as error:
            raise UserError(
                f"The kept state {self.path} is damaged ({error}). Delete the folder {self.path.parent} to adapt again."
            ) from None

    def restore(self, last: EpochState) -> EpochState:
        """Return the kept epoch, with its weights in the model of ``last``, the run's latest state, else ``last``."""
        found = self.kept()
        if found is None or (found.phase, found.epoch) == (last.phase, last.epoch):
            return last
        tensors = load_file(self.path, device=str(last.bank.logits.device))
        weights = {name.removeprefix(MODEL): value for name, value in tensors.items() if name.startswith(MODEL)}
        last.model.load_state_dict(weights)
        bank = FeatureBank(tensors[BANK + "features"], tensors[BANK + "logits"])
        return replace(last, phase=found.phase, epoch=found.epoch, epochs=found.epochs, bank=bank, diagnostics={})
