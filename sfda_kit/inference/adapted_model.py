"""The adapted model on disk: the weights of input bridge and network, and a card that describes their input."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from sfda_kit.checksums import is_whole
from sfda_kit.errors import DataError, RenamedWarning, UserError
from sfda_kit.files import write_json
from sfda_kit.interfaces.recipe import BridgeConfig, PartConfig
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import build_part
from sfda_kit.source.sealed_card import SealedCard, read_card, sealed
from sfda_kit.source.source_card import CARD_FILE, WEIGHTS_FILE, SourceCard
from sfda_kit.source.source_models import load_weights, save_weights, untrained
from sfda_kit.source.weights_hash import weights_hash


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


def save_adapted(model: AdaptedModel, card: AdaptedCard, folder: Path) -> None:
    """Write the weights, then the card with their hash."""
    save_weights(model, folder / WEIGHTS_FILE)
    card = sealed(card.model_copy(update={"weights_sha256": weights_hash(model)}))
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))


def load_model(run: Path, device: torch.device | str = "cpu") -> tuple[AdaptedModel, AdaptedCard]:
    """Return model (in evaluation mode) and card of a run folder.
    Raises ``UserError`` when it holds no complete model, and ``DataError`` when a file of it is damaged."""
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
    bridge = build_part("bridge", card.input_bridge.name, card.input_bridge.options)
    model = AdaptedModel(bridge, untrained(card.source))
    load_weights(model, folder / WEIGHTS_FILE)
    if weights_hash(model) != card.weights_sha256:
        raise UserError(f"The weights in {folder} do not match the hash in {file}; they have been changed.")
    return model.to(device).eval(), card
