"""The source card: everything that remains of the source data after the training of the source model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from sfda_kit.config.digest import digest
from sfda_kit.config.explain import explain
from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.files import atomic, write_json
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.interfaces.strict_model import DigestStableModel
from sfda_kit.models.network import Network, build_network

CARD_FILE, WEIGHTS_FILE = "card.json", "model.safetensors"


class SourceCard(DigestStableModel):
    """A source card describes a source model. ``accuracy`` is in percent on held-out source images, None if unknown.

    ``mean`` and ``std``: input normalisation for values in [0, 1]; ``statistics``: per-channel mean and standard
    deviation of the encoded source images, by modality. ``members``: the cards of the models of a mixture, which has no
    file of its own; ``mixing``: their weights after adaptation.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("members", "mixing")

    format: int = 1
    model: ModelConfig
    classes: tuple[str, ...]
    modality: str
    encoding: PartConfig
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    statistics: dict[str, dict[str, tuple[float, ...]]] = Field(default_factory=dict)
    accuracy: float | None = None
    held_out_images: int = 0
    weights_sha256: str = ""
    training: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    members: tuple[SourceCard, ...] = ()
    mixing: tuple[float, ...] = ()

    def fingerprint(self) -> str:
        """Return a digest of the hash of the weights and of all other fields except versions."""
        return digest(self.model_dump(mode="json", exclude={"versions"}))


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
    card = card.model_copy(update={"weights_sha256": weights_hash(network)})
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
        return SourceCard.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is no source card ({getattr(error, 'strerror', None) or 'it is not text'}). Give the folder "
            f"that holds {CARD_FILE}; weights become one with `sfda-kit source import`."
        ) from None
    except ValidationError as error:
        raise UserError(explain(error, f"source card {file}")) from None


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
