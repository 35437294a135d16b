"""One source card, or the card of the mixture of the models of several cards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from sfda_kit.config.digest import digest
from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.source.source_card import SourceCard, load_card


def load_joint_card(paths: Sequence[Path]) -> SourceCard:
    """Return the only card, or that of the mixture. Raises ``UserError`` for a bad card or models that do not mix."""
    cards = [load_card(path) for path in paths]
    return cards[0] if len(cards) == 1 else _mixed(cards, paths)


def modality_notices(card: SourceCard) -> list[str]:
    """Return a notice for each member that was trained on another modality than the first."""
    return [
        f"source model {number} was trained on {member.modality}; where a term reads the source halves of TI pairs, it "
        f"is shown {card.modality} images"
        for number, member in enumerate(card.members, 1)
        if member.modality != card.modality
    ]


def _mixed(cards: Sequence[SourceCard], paths: Sequence[Path]) -> SourceCard:
    """Return the card of a mixture. Classes, modality and normalisation are those of the first card."""
    _check_distinct(cards, paths)
    first = cards[0]
    for card, path in zip(cards[1:], paths[1:], strict=True):
        _check_classes(first, paths[0], card, path)
        _check_size(first, paths[0], card, path)
    model = ModelConfig(
        backbone="+".join(card.model.backbone for card in cards),
        pretrained=any(card.model.begins_trained for card in cards),
        bottleneck=sum(card.model.bottleneck for card in cards),
        image_size=first.model.image_size,
    )
    return SourceCard(
        model=model,
        classes=first.classes,
        modality=first.modality,
        encoding=first.encoding,
        mean=first.mean,
        std=first.std,
        weights_sha256=digest([card.fingerprint() for card in cards]),
        members=tuple(card.model_copy(update={"versions": {}, "statistics": {}, "checksum": ""}) for card in cards),
    )


def _check_distinct(cards: Sequence[SourceCard], paths: Sequence[Path]) -> None:
    for (card, path), (other, other_path) in combinations(zip(cards, paths, strict=True), 2):
        if card.fingerprint() == other.fingerprint():
            same = "given twice" if path == other_path else f"the same as {other_path}"
            raise UserError(f"The source card {path} is {same}. Name each source model once.")


def _check_classes(first: SourceCard, first_path: Path, card: SourceCard, path: Path) -> None:
    missing = [name for name in first.classes if name not in card.classes]
    further = [name for name in card.classes if name not in first.classes]
    if missing or further:
        found = [f"it lacks {', '.join(missing)}"] if missing else []
        found += [f"it has {', '.join(further)} besides"] if further else []
        raise UserError(
            f"The source card {path} knows other classes than {first_path}: {' and '.join(found)}. Predictions are "
            "mixed class by class: use source models of the same classes (their order is free)."
        )


def _check_size(first: SourceCard, first_path: Path, card: SourceCard, path: Path) -> None:
    size, expected = card.model.image_size, first.model.image_size
    if size != expected:
        raise UserError(
            f"The source card {path} takes images of {size} px, {first_path} of {expected} px. All source models of a "
            "run see the same images: use models of one image size."
        )
