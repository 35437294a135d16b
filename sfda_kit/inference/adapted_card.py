"""The card of an adapted model: what its weights are, and what images it takes."""

from __future__ import annotations

import warnings
from pathlib import Path

from sfda_kit.checksums import is_whole
from sfda_kit.errors import DataError, RenamedWarning, UserError
from sfda_kit.interfaces.recipe import BridgeConfig, PartConfig
from sfda_kit.source.sealed_card import SealedCard, read_card
from sfda_kit.source.source_card import CARD_FILE, WEIGHTS_FILE, SourceCard


class AdaptedCard(SealedCard):
    """A card describes an adapted model; its normalisation, image size and classes are those of ``source``.
    ``modality`` and ``unit`` describe the images that it takes."""

    method: str
    source: SourceCard
    input_bridge: BridgeConfig
    encoding: PartConfig
    modality: str
    unit: str | None = None
    epochs: int = 0
    weights_sha256: str = ""

    @property
    def depth_unit(self) -> str | None:
        """``unit`` by its older name."""
        warnings.warn("depth_unit is called unit now", RenamedWarning, stacklevel=2)
        return self.unit


def read_adapted_card(run: Path) -> tuple[AdaptedCard, Path]:
    """Return the card of the model in a run folder, and the folder of the model, without torch.

    Raises ``UserError`` where there is no complete model, and ``DataError`` when a file of it is damaged.
    """
    folder = run / "model" if (run / "model").is_dir() else run
    file = folder / CARD_FILE
    for path in (file, folder / WEIGHTS_FILE):
        if is_whole(folder.parent, f"{folder.name}/{path.name}") is False:
            raise DataError(f"{path} is damaged: it has changed since the run ended. Run it again with --resume.")
    try:
        card = read_card(AdaptedCard, file, "model card")
    except (OSError, ValueError):
        raise UserError(
            f"{run} holds no adapted model (no {file} that can be read). Give the folder of a finished run, as "
            "`sfda-kit run` or `sfda-kit adapt` prints it; an unfinished one ends with --resume."
        ) from None
    return card, folder
