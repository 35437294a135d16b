"""The network of one source card, or the mixture of the networks of several cards, and their weights on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from sfda_kit.errors import UserError
from sfda_kit.files import atomic, write_json
from sfda_kit.models.mixture import Mixture, MixtureMember, mixing_weights
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.sealed_card import sealed
from sfda_kit.source.source_card import CARD_FILE, WEIGHTS_FILE, SourceCard, check_weights, load_card, weights_file
from sfda_kit.source.source_cards import load_joint_card
from sfda_kit.source.weights_hash import weights_hash


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


def load_source_model(path: Path, device: torch.device | str = "cpu") -> tuple[Network, SourceCard]:
    """Return network (evaluation mode) and card. Raises ``UserError`` if the card has another hash of the weights."""
    card, file = load_card(path), weights_file(path)
    network = build_network(card.model, len(card.classes), pretrained=False)
    load_weights(network, file)
    check_weights(card, weights_hash(network), file.parent)
    return network.to(device).eval(), card


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


def _joined(card: SourceCard, networks: Sequence[Network]) -> Mixture:
    """Return the mixture that ``card`` describes. Its input is normalised like that of the first member."""
    members = []
    for member, network in zip(card.members, networks, strict=True):
        order = torch.tensor([member.classes.index(name) for name in card.classes])
        mean, std = torch.tensor(card.mean), torch.tensor(card.std)
        own_mean, own_std = torch.tensor(member.mean), torch.tensor(member.std)
        members.append(MixtureMember(network, order, std / own_std, (mean - own_mean) / own_std))
    return Mixture(members)
