"""What cards of models have in common: a format, a checksum of their content, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, field_validator

from sfda_kit.config.digest import digest
from sfda_kit.config.explain import explain
from sfda_kit.errors import UserError, brief
from sfda_kit.files import read_text
from sfda_kit.interfaces.strict_model import DigestStableModel

FORMAT = 2


class SealedCard(DigestStableModel):
    """``checksum`` is the ``fingerprint`` of the card as it was saved, and empty before."""

    format: int = FORMAT
    checksum: str = ""

    @field_validator("format", mode="before")
    @classmethod
    def _known_format(cls, value: Any) -> Any:
        if value != FORMAT:
            raise ValueError(
                f"this version reads cards of format {FORMAT}; sfda-kit 0.2 and earlier wrote format 1. Train, import "
                "or adapt the model again, or use the version that made it"
            )
        return value

    def fingerprint(self) -> str:
        """Return a digest of all fields except the versions of the software and the checksum."""
        return digest(self.model_dump(mode="json", exclude={"versions", "checksum"}))


Card = TypeVar("Card", bound=SealedCard)


def sealed(card: Card) -> Card:
    """Return a copy with its checksum."""
    return card.model_copy(update={"checksum": card.fingerprint()})


def read_card(kind: type[Card], file: Path, what: str) -> Card:
    """Read a card of ``kind``. Raises ``UserError`` where it is not valid or was changed since it was saved.

    Raises ``OSError`` where there is no file that can be read, and ``ValueError`` where it is no text.
    """
    text = read_text(file)
    try:
        card = kind.model_validate_json(text)
    except ValidationError as error:
        raise UserError(explain(error, f"{what} {brief(str(file), 300, quoted=False)}", kind)) from None
    if card.checksum != card.fingerprint():
        raise UserError(
            f"The {what} {file} has been changed since it was saved: its checksum does not fit its content. With "
            "classes in another order, or another normalisation, predictions would be wrong without a word. Take an "
            "unchanged copy, or train, import or adapt the model again."
        )
    return card
