"""The source card: everything that remains of the source data after the training of the source model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, FiniteFloat, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.files import atomic, write_json
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.sealed_card import SealedCard, read_card, sealed

CARD_FILE, WEIGHTS_FILE = "card.json", "model.safetensors"
MOST_CLASSES = 50_000
Deviation = Annotated[FiniteFloat, Field(gt=0)]


class SourceCard(SealedCard):
    """A source card describes a source model. ``accuracy`` is in percent on held-out source images, None if unknown.

    ``mean`` and ``std``: input normalisation for values in [0, 1]; ``statistics``: per-channel mean and standard
    deviation of the encoded source images, by modality. ``members``: the cards of the models of a mixture, which has no
    file of its own; ``mixing``: their weights after adaptation.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("members", "mixing")

    model: ModelConfig
    classes: tuple[str, ...] = Field(min_length=1, max_length=MOST_CLASSES)
    modality: str
    encoding: PartConfig
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[Deviation, Deviation, Deviation]
    statistics: dict[str, dict[str, tuple[float, ...]]] = Field(default_factory=dict)
    accuracy: float | None = Field(default=None, ge=0, le=100)
    held_out_images: int = Field(default=0, ge=0)
    weights_sha256: str = ""
    training: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    members: tuple[SourceCard, ...] = ()
    mixing: tuple[FiniteFloat, ...] = ()

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("a class stands here twice")
        return classes


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 over names, shapes, dtypes and bytes of the state dict of ``module``."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the state dict of ``module`` as safetensors, atomically."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    content = save(state)  # in memory, so that a full disk is an ``OSError``
    with atomic(path) as work:
        work.write_bytes(content)


def load_weights(module: nn.Module, path: Path) -> None:
    """Load weights into ``module``. Raises ``UserError`` if they are missing, not safetensors or do not fit it."""
    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"There are no weights at {path}.") from None
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a safetensors file ({error}). Weights of other formats are taken in with "
            "`sfda-kit source import`."
        ) from None
    except RuntimeError as error:
        reason = "\n".join(str(error).splitlines()[:4])
        raise UserError(f"{path} holds weights of another architecture: {reason}") from None


def save_source(network: Network, card: SourceCard, folder: Path) -> SourceCard:
    """Write the weights and then the card with their hash. Returns that card."""
    save_weights(network, folder / WEIGHTS_FILE)
    card = sealed(card.model_copy(update={"weights_sha256": weights_hash(network)}))
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    return card


def load_card(path: Path) -> SourceCard:
    """Read the card at ``path`` (the JSON file or its folder). Raises ``UserError`` if it is missing or invalid."""
    file = path / CARD_FILE if path.is_dir() else path
    if not file.exists():
        raise UserError(
            f"There is no source card at {file}. Make one with `sfda-kit source train` or `sfda-kit source import`."
        )
    try:
        return read_card(SourceCard, file, "source card")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} is no source card ({getattr(error, 'strerror', None) or error}). Give the folder "
            f"that holds {CARD_FILE}; weights become one with `sfda-kit source import`."
        ) from None


def load_source_model(path: Path, device: torch.device | str = "cpu") -> tuple[Network, SourceCard]:
    """Return network (evaluation mode) and card. Raises ``UserError`` if the card has another hash of the weights."""
    card = load_card(path)
    folder = path if path.is_dir() else path.parent
    network = build_network(card.model, len(card.classes), pretrained=False)
    load_weights(network, folder / WEIGHTS_FILE)
    if weights_hash(network) != card.weights_sha256:
        raise UserError(
            f"The weights in {folder} are not those of the card (hash {weights_hash(network)[:12]}..., the "
            f"card says {card.weights_sha256[:12]}...). Train or import the source model again."
        )
    return network.to(device).eval(), card
