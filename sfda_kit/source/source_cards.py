"""The source model of one source card, or the mixture of the models of several cards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch

from sfda_kit.config.digest import digest
from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.models.mixture import Mixture, MixtureMember, mixing_weights
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.source_card import SourceCard, load_card, load_source_model


def load_joint_card(paths: Sequence[Path]) -> SourceCard:
    """Return the only card, or that of the mixture. Raises ``UserError`` for a bad card or models that do not mix."""
    cards = [load_card(path) for path in paths]
    return cards[0] if len(cards) == 1 else _mixed(cards, paths)


def load_joint_source_model(paths: Sequence[Path], device: torch.device | str = "cpu") -> tuple[Network, SourceCard]:
    """Return network (evaluation mode) and card as ``load_source_model`` and ``load_joint_card`` do."""
    if len(paths) == 1:
        return load_source_model(paths[0], device)
    card = load_joint_card(paths)
    network = _joined(card, [load_source_model(path)[0] for path in paths])
    return network.to(device).eval(), card


def untrained(card: SourceCard) -> Network:
    """Build a network as ``card`` describes it, with random weights."""
    if card.members:
        return _joined(card, [untrained(member) for member in card.members])
    return build_network(card.model, len(card.classes), pretrained=False)


def with_weights(card: SourceCard, network: Network) -> SourceCard:
    """Return the card of a mixture with the learned mixing weights of ``network``. Other cards do not change."""
    return card.model_copy(update={"mixing": mixing_weights(network)})


def modality_notices(card: SourceCard) -> list[str]:
    """Return a notice for each member that was trained on another modality than the first."""
    return [
        f"source model {number} was trained on {member.modality}; where a term reads the source halves of TI pairs, it "
        f"is shown {card.modality} images"
        for number, member in enumerate(card.members, 1)
        if member.modality != card.modality
    ]


def _joined(card: SourceCard, networks: Sequence[Network]) -> Mixture:
    """Return the mixture that ``card`` describes. Its input is normalised like that of the first member."""
    members = []
    for member, network in zip(card.members, networks, strict=True):
        order = torch.tensor([member.classes.index(name) for name in card.classes])
        mean, std = torch.tensor(card.mean), torch.tensor(card.std)
        own_mean, own_std = torch.tensor(member.mean), torch.tensor(member.std)
        members.append(MixtureMember(network, order, std / own_std, (mean - own_mean) / own_std))
    return Mixture(members)


def _mixed(cards: Sequence[SourceCard], paths: Sequence[Path]) -> SourceCard:
    """Return the card of a mixture. Classes, modality and normalisation are those of the first card."""
    _check_distinct(cards, paths)
    first = cards[0]
    for card, path in zip(cards[1:], paths[1:], strict=True):
        _check_classes(first, paths[0], card, path)
        _check_size(first, paths[0], card, path)
    model = ModelConfig(
        backbone="+".join(card.model.backbone for card in cards),
        pretrained=any(card.model.pretrained for card in cards),
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
