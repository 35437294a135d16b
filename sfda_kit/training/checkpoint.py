"""Training state on disk. A killed run continues from it bit for bit."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sfda_kit.errors import UserError
from sfda_kit.files import atomic
from sfda_kit.training.optimizers import Optimizer


@dataclass(frozen=True)
class Checkpoint:
    """The state of a stage after its last finished epoch. Epochs draw random numbers from (seed, stage, epoch)."""

    path: Path

    def save(self, epochs_done: int, modules: Mapping[str, nn.Module], optimizer: Optimizer) -> None:
        """Write the state atomically, so that a kill at any moment leaves the previous state."""
        state = {
            "epochs_done": epochs_done,
            "modules": {name: module.state_dict() for name, module in modules.items()},
            "optimizer": optimizer.state_dict(),
        }
        with atomic(self.path) as work:
            torch.save(state, work)

    def load(self, modules: Mapping[str, nn.Module], optimizer: Optimizer) -> int:
        """Restore the state and return the epochs done (0 without a checkpoint). Raises ``UserError`` if invalid."""
        if not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            for name, module in modules.items():
                module.load_state_dict(state["modules"][name])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"The checkpoint {self.path} does not belong to this run or is damaged "
                f"({str(error).splitlines()[0]}). Delete it to start this stage again."
            ) from None
        return int(state["epochs_done"])
