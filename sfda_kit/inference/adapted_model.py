"""The adapted model on disk: the weights of input bridge and network, and a card that describes their input."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sfda_kit.errors import UserError
from sfda_kit.files import write_json
from sfda_kit.inference.adapted_card import AdaptedCard, read_adapted_card
from sfda_kit.inference.run_parts import require_part
from sfda_kit.models.module_factories import trust
from sfda_kit.models.network import AdaptedModel
from sfda_kit.plugins.discovery import build_part
from sfda_kit.source.sealed_card import sealed
from sfda_kit.source.source_card import CARD_FILE, WEIGHTS_FILE
from sfda_kit.source.source_models import load_weights, save_weights, untrained
from sfda_kit.source.weights_hash import weights_hash


def save_adapted(model: AdaptedModel, card: AdaptedCard, folder: Path) -> None:
    """Write the weights, then the card with their hash."""
    save_weights(model, folder / WEIGHTS_FILE)
    card = sealed(card.model_copy(update={"weights_sha256": weights_hash(model)}))
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))


def load_model(
    run: str | Path, device: torch.device | str = "cpu", module: nn.Module | None = None
) -> tuple[AdaptedModel, AdaptedCard]:
    """Return model (in evaluation mode) and card of a run folder.

    ``module``: the torch module that was adapted, or one that is built alike, where the network is none of timm. Raises
    ``UserError`` when the folder holds no complete model or a part of it is not installed here, and ``DataError`` when
    a file of it is damaged.
    """
    run = Path(run)
    card, folder = read_adapted_card(run)
    if module is not None:
        trust(card.source.model.backbone, lambda: module)
    require_part(run, "bridge", card.input_bridge.name)
    bridge = build_part("bridge", card.input_bridge.name, card.input_bridge.options)
    model = AdaptedModel(bridge, untrained(card.source))
    load_weights(model, folder / WEIGHTS_FILE)
    if weights_hash(model) != card.weights_sha256:
        raise UserError(
            f"The weights in {folder} do not match the hash in {folder / CARD_FILE}; they have been changed."
        )
    return model.to(device).eval(), card
