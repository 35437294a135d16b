"""Filling of a new backbone with weights from elsewhere: every tensor has its place, or the user is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import timm
from torch import Tensor, nn

from sfda_kit.errors import UserError
from sfda_kit.models.network import Network
from sfda_kit.source.foreign_weights import read_state
from sfda_kit.source.importing import HEADS, WRAPPERS, Matching, match, some_names
from sfda_kit.source.located_weights import LocatedWeights


def fill_backbone(network: Network, weights: LocatedWeights) -> str:
    """Load ``weights`` into the backbone of ``network``, and return a sentence that says what was left out.

    Their classifier has other classes, so it is left out, as are a bottleneck and what the weights rename to None.
    Raises ``UserError`` that lists the tensors that have no place, are missing or have another shape.
    """
    state, left_out = _renamed(read_state(weights.file), weights)
    heads = _head(state, network.backbone)
    matching = _matched({name: tensor for name, tensor in state.items() if name not in heads}, network)
    if problems := list(_problems(matching)):
        raise UserError(
            f"The weights {weights.name!r} do not fit the backbone.\n"
            + "\n".join(f"  {line}" for line in problems)
            + "\nName the backbone of timm that they are of (--backbone). A transformer also needs the --image-size of "
            "their training."
        )
    inside = {name: tensor for name, tensor in matching.placed.items() if name.startswith("backbone.")}
    network.load_state_dict(inside, strict=False)
    left_out += [name for name in matching.placed if name not in inside]
    counted = [name for name in inside if not name.endswith("num_batches_tracked")]
    return _told(weights.name, len(counted), list(heads.values()), left_out)


def fill_with_classifier(network: Network, backbone: str, weights: LocatedWeights | None) -> None:
    """Load backbone and classifier of ``weights``, None for timm's own, into ``network``, which has no bottleneck.

    Raises ``UserError`` where the weights have no classifier of as many classes, or do not fit the backbone.
    """
    name = weights.name if weights else f"timm's of {backbone}"
    if weights:
        state = _renamed(read_state(weights.file), weights)[0]
    else:
        state = timm.create_model(backbone, pretrained=True).state_dict()
    heads = list(_head(state, network.backbone).values())
    if {len(tensor) for tensor in heads} != {network.class_count}:
        found = f"a classifier of {len(heads[0])} classes" if heads else "no classifier"
        raise UserError(f"The weights {name!r} have {found}; expected one of {network.class_count:,} classes.")
    matching = _matched(state, network)
    if problems := [*_problems(matching), *(one for one in matching.missing if one.startswith("classifier."))]:
        raise UserError(f"The weights {name!r} do not fit {backbone} and its classifier: {'; '.join(problems)}.")
    network.load_state_dict(matching.placed, strict=False)


def _told(name: str, count: int, head: Sequence[Tensor], left_out: Sequence[str]) -> str:
    classes = next((len(tensor) for tensor in head), 0)
    dropped = f"; their classifier of {classes} classes is left out" if classes else ""
    dropped += f"; not used: {some_names(sorted(left_out))}" if left_out else ""
    return f"the backbone begins with the weights {name!r} ({count} tensors){dropped}"


def _renamed(state: Mapping[str, Tensor], weights: LocatedWeights) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by timm's names, and the names that the weights leave out. Raises ``UserError``."""
    found: dict[str, Tensor] = {}
    left_out = []
    for name, tensor in state.items():
        here = weights.rename(name)
        if here is None:
            left_out.append(name)
        elif here in found:
            raise UserError(f"The weights {weights.name!r} give two tensors the name {here!r}; the second is {name!r}.")
        else:
            found[here] = tensor
    return found, left_out


def _head(state: Mapping[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the classifier that the weights were trained with."""
    stated: Any = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier")
    heads = {*HEADS, *([stated] if isinstance(stated, str) else stated or ())}
    inside = backbone.state_dict().keys()
    bare = {name: _unwrapped(name) for name in state}
    return {name: state[name] for name, one in bare.items() if one.rpartition(".")[0] in heads and one not in inside}


def _unwrapped(name: str) -> str:
    while prefix := next((one for one in WRAPPERS if name.startswith(one)), None):
        name = name.removeprefix(prefix)
    return name


def _matched(state: Mapping[str, Tensor], network: Network) -> Matching:
    """Match the tensors as they are, and else as timm converts those of other sizes and libraries for this network."""
    found = match(state, network)
    convert = getattr(sys.modules[type(network.backbone).__module__], "checkpoint_filter_fn", None)
    if convert is None or not list(_problems(found)):
        return found
    try:
        return match(convert(dict(state), network.backbone), network)
    except Exception:  # it was made for other tensors, and says no more than that
        return found


def _problems(matching: Matching) -> Iterator[str]:
    missing = [name for name in matching.missing if name.startswith("backbone.")]
    for name, has, expected in matching.mismatched:
        if name.startswith("backbone."):
            yield f"{name.removeprefix('backbone.')}: the file has {list(has)}, expected {list(expected)}"
    if missing:
        yield f"not in the file: {some_names([name.removeprefix('backbone.') for name in missing])}"
    if matching.unmatched:
        yield f"without a place in the backbone: {some_names(matching.unmatched)}"
