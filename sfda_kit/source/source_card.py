"""The source card: everything that remains of the source data after the training of the source model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, FiniteFloat, field_validator

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.source.sealed_card import SealedCard, read_card
from sfda_kit.source.weights_hash import stored_weights_hash

CARD_FILE, WEIGHTS_FILE = "card.json", "model.safetensors"
MOST_CLASSES = 50_000
Deviation = Annotated[FiniteFloat, Field(gt=0)]


class SourceCard(SealedCard):
    """A source card describes a source model. ``accuracy`` is in percent on held-out source images, None if unknown.

    ``mean`` and ``std``: input normalisation for values in [0, 1]; ``statistics``: per-channel mean and standard
    deviation of the encoded source images, by modality. ``members``: the cards of the models of a mixture, which has no
    file of its own; ``mixing``: their weights after adaptation. ``initial_weights``: name, hash, licence and source of
    the weights that the backbone began with, where ``model.backbone_weights`` names them.
    """

    _later_keys: ClassVar[tuple[str, ...]] = ("members", "mixing", "initial_weights")

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
    initial_weights: dict[str, str] = Field(default_factory=dict, max_length=8)

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("a class stands here twice")
        return classes


def load_card(path: str | Path) -> SourceCard:
    """Read the card at ``path`` (the JSON file or its folder). Raises ``UserError`` if it is missing or invalid."""
    path = Path(path)
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


def load_whole_card(path: Path) -> SourceCard:
    """Read the card at ``path`` and check its weights against it, without torch. Raises ``UserError``."""
    from safetensors import SafetensorError

    card, file = load_card(path), weights_file(path)
    try:
        check_weights(card, stored_weights_hash(file), file.parent)
    except FileNotFoundError:
        raise UserError(f"There are no weights at {file}.") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is not a safetensors file ({error}).") from None
    return card


def weights_file(path: Path) -> Path:
    """Return the file of the weights of the card at ``path`` (the JSON file or its folder)."""
    return (path if path.is_dir() else path.parent) / WEIGHTS_FILE


def check_weights(card: SourceCard, found: str, folder: Path) -> None:
    """Raise ``UserError`` unless ``found``, the hash of the weights in ``folder``, is that of ``card``."""
    if found != card.weights_sha256:
        raise UserError(
            f"The weights in {folder} are not those of the card (hash {found[:12]}..., the "
            f"card says {card.weights_sha256[:12]}...). Train or import the source model again."
        )
