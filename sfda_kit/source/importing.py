"""Import of a source model that was trained elsewhere: a timm classifier, or the three files of SHOT, become a card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from sfda_kit.config.models import ModelConfig
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import PartConfig
from sfda_kit.models.network import Network, build_network
from sfda_kit.source.source_card import SourceCard
from sfda_kit.source.source_models import save_source
from sfda_kit.source.weights_hash import weights_hash
from sfda_kit.training.stage_cache import cached_stage
from sfda_kit.versions import versions

if TYPE_CHECKING:
    from collections.abc import Iterator

Triple = tuple[float, float, float]

WRAPPERS = ("module.", "model.", "network.", "net.", "_orig_mod.", "backbone.", "encoder.")
"""The prefixes that wrappers and training scripts put before the names of a timm model."""
HEADS = ("fc", "head", "classifier", "head.fc", "linear")
"""The names of the last layer that are tried after the one that timm states for the backbone."""
WEIGHT_NORM = {
    "classifier.weight_g": "classifier.parametrizations.weight.original0",
    "classifier.weight_v": "classifier.parametrizations.weight.original1",
}
"""The names in the older weight normalisation of torch, and the present ones."""
SHOT_NAMES = {
    **{f"bottleneck.{part}": f"bottleneck.0.{part}" for part in ("weight", "bias")},
    **{f"bn.{part}": f"bottleneck.1.{part}" for part in ("weight", "bias", "running_mean", "running_var")},
    "bn.num_batches_tracked": "bottleneck.1.num_batches_tracked",
    **{f"fc.{name.partition('.')[2]}": present for name, present in WEIGHT_NORM.items()},
    **{f"fc.{present.partition('.')[2]}": present for present in WEIGHT_NORM.values()},
    "fc.bias": "classifier.bias",
    # its VGG: two linear layers, which timm keeps as convolutions over the last feature map
    **{f"classifier.classifier0.{part}": f"backbone.pre_logits.fc1.{part}" for part in ("weight", "bias")},
    **{f"classifier.classifier3.{part}": f"backbone.pre_logits.fc2.{part}" for part in ("weight", "bias")},
}
"""The names of bottleneck, classifier and VGG in the code of SHOT and its descendants, and ours."""
_NAMED = 5
"""The number of names that one message lists."""


@dataclass
class Matching:
    """A matching assigns tensors of a file to a network. ``missing``: names of the network; ``unmatched``: of the file.

    ``mismatched``: (name in the network, shape in the file, shape expected).
    """

    placed: dict[str, Tensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)


def network_for(
    state: Mapping[str, Tensor], backbone: str, image_size: int, classes: int
) -> tuple[Network, ModelConfig]:
    """Return an untrained network of the kind in the file, with a bottleneck if the file has one."""
    ends = ("bottleneck.0.weight", "bottleneck.weight")
    width = next((tensor.shape[0] for name, tensor in state.items() if name.endswith(ends)), 0)
    model = ModelConfig(backbone=backbone, image_size=image_size, bottleneck=int(width))
    return build_network(model, classes, pretrained=False), model


def match(state: Mapping[str, Tensor], network: Network) -> Matching:
    """Find the place of each tensor in the network, whatever prefixes wrappers added to its name."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    aliases = _head_aliases(network) | {k: v for k, v in (WEIGHT_NORM | SHOT_NAMES).items() if v in expected}
    found = Matching()
    for key, tensor in _unfolded(state, expected).items():
        name = next((n for n in _candidates(key, aliases) if n in expected), None)
        if name is None or name in found.placed:
            found.unmatched.append(key)
            continue
        value = _as_layer(tensor, expected[name])
        if tuple(value.shape) != expected[name]:
            found.mismatched.append((name, tuple(value.shape), expected[name]))
        else:
            found.placed[name] = value
    wrong = {name for name, _, _ in found.mismatched}
    found.missing = [
        name
        for name in expected
        if name not in found.placed and name not in wrong and not name.endswith("num_batches_tracked")
    ]
    return found


def _candidates(key: str, aliases: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the network that ``key`` may mean, the least stripped first."""
    while True:
        yield key
        yield f"backbone.{key}"
        if key in aliases:
            yield aliases[key]
        prefix = next((p for p in WRAPPERS if key.startswith(p)), None)
        if prefix is None:
            return
        key = key[len(prefix) :]


def _as_layer(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the weight of a linear layer as that of a convolution of the same numbers, or the reverse."""
    if tensor.ndim == 4 and len(shape) == 2:
        return tensor.flatten(1)
    same = tensor.ndim == 2 and len(shape) == 4 and tensor.numel() == math.prod(shape)
    return tensor.reshape(shape) if same and len(tensor) == shape[0] else tensor


def _head_aliases(network: Network) -> dict[str, str]:
    if "classifier.weight" not in network.state_dict():
        return {}  # with a bottleneck, the head of the backbone is not the classifier
    stated = _pretrained_cfg(network).get("classifier")
    names = (stated, *HEADS) if isinstance(stated, str) else HEADS
    return {f"{name}.{part}": f"classifier.{part}" for name in names for part in ("weight", "bias")}


def _unfolded(state: Mapping[str, Tensor], expected: Mapping[str, Any]) -> dict[str, Tensor]:
    """Split the plain classifier weight of an exported model into length and direction again."""
    length, direction = WEIGHT_NORM.values()
    unfolded: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if direction in expected and key.endswith(("classifier.weight", "fc.weight")) and tensor.ndim == 2:
            unfolded |= {length: tensor.norm(dim=1, keepdim=True), direction: tensor}
        else:
            unfolded[key] = tensor
    return unfolded


def check(matching: Matching, backbone: str, ignore_unmatched: bool) -> None:
    """Raise ``UserError`` that says what to do next, unless the file fills the whole network."""
    heads = [entry for entry in matching.mismatched if entry[0].startswith("classifier.")]
    if heads:
        found, expected = heads[0][1:]
        if found[0] != expected[0]:
            raise UserError(
                f"The classifier in the file has {found[0]} classes, but --classes names {expected[0]}. Name "
                "all its classes, in the order of its outputs."
            )
    if matching.mismatched or matching.missing:
        raise UserError(_misfit(matching, backbone))
    if matching.unmatched and not ignore_unmatched:
        raise UserError(
            f"The file holds tensors that have no place in {backbone}: {some_names(matching.unmatched)}. "
            "Without them the predictions may differ from those of your model. Choose the backbone it was "
            "trained with, or accept this with --ignore-unmatched."
        )


def _misfit(matching: Matching, backbone: str) -> str:
    lines = [f"The weights do not fit the backbone {backbone!r}."]
    lines += [
        f"  {name}: the file has {list(found)}, expected {list(expected)}"
        for name, found, expected in matching.mismatched[:_NAMED]
    ]
    if matching.missing:
        lines.append(f"  not in the file: {some_names(matching.missing)}")
    return "\n".join([*lines, _guess(matching)])


def _guess(matching: Matching) -> str:
    """Return the most likely reason and what to do."""
    names = [name for name, _, _ in matching.mismatched]
    channels = [f[1] for _, f, e in matching.mismatched if len(f) == 4 and f[:1] + f[2:] == e[:1] + e[2:]]
    unmatched = some_names(matching.unmatched)
    guesses = (
        (
            len(matching.placed) + len(names) < len(matching.missing),
            f"Few names are right (the file begins with {unmatched}): it is of another family of networks, or "
            "of another library than timm. Give the timm name that it was made with.",
        ),
        (
            all(name.startswith("classifier.") for name in [*names, *matching.missing]),
            f"The backbone fits and the last layer does not; unmatched in the file: {unmatched}. Only a "
            "single linear classifier can be imported, with a bottleneck (Linear, BatchNorm) or without.",
        ),
        (
            any("pos_embed" in name or "relative_position" in name for name in names),
            "It was trained on images of another size: give that one with --image-size.",
        ),
        (
            len(names) == len(channels) == 1,
            f"It was trained on images of {sum(channels)} channels; a source model here takes three.",
        ),
    )
    other = "It is another size of this network, or a relative. Give the timm name that it was trained with."
    return next((text for applies, text in guesses if applies), other)


def some_names(names: list[str]) -> str:
    """Return the first names of a list in words, and how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "nothing") + more


def normalisation_of(network: Network, mean: Triple | None, std: Triple | None) -> tuple[Triple, Triple]:
    """Return ``mean`` and ``std`` as given, else those that timm states for the backbone. Raises ``UserError``."""
    cfg = _pretrained_cfg(network)
    mean, std = mean or cfg.get("mean"), std or cfg.get("std")
    if mean is None or std is None:
        raise UserError(
            "timm states no input normalisation for this backbone. Give the one it was trained with: "
            "--mean R,G,B --std R,G,B, for values in [0, 1]."
        )
    if min(std) <= 0 or max(*mean, *std) > 1 or min(mean) < 0:
        given = f"--mean {','.join(map(str, mean))} --std {','.join(map(str, std))}"
        raise UserError(
            f"{given}: expected numbers for values in [0, 1], deviations greater than 0. "
            "Divide those for values in 0..255 by 255."
        )
    return mean, std


def _pretrained_cfg(network: Network) -> dict[str, Any]:
    return dict(getattr(network.backbone, "pretrained_cfg", None) or {})


def save_imported(
    network: Network,
    matching: Matching,
    model: ModelConfig,
    classes: tuple[str, ...],
    modality: str,
    mean: Triple,
    std: Triple,
    origin: Sequence[Path],
) -> Path:
    """Fill ``network`` and save it as a source card. Returns the folder, which is the same for the same model."""
    network.load_state_dict(matching.placed, strict=False)
    return keep_imported(network, model, classes, modality, mean, std, " ".join(path.name for path in origin))


def keep_imported(
    network: Network,
    model: ModelConfig,
    classes: tuple[str, ...],
    modality: str,
    mean: Triple,
    std: Triple,
    origin: str,
) -> Path:
    """Save ``network``, which came from ``origin``, with a card in the cache. Returns the folder."""
    card = SourceCard(
        model=model,
        classes=classes,
        modality=modality,
        encoding=PartConfig(name="copy"),
        mean=mean,
        std=std,
        training={"imported": origin},
        versions=versions(),
    )
    identity = card.model_dump(mode="json", exclude={"versions"}) | {"weights": weights_hash(network)}
    return cached_stage("imported", identity, lambda folder: _save(network, card, folder))


def _save(network: Network, card: SourceCard, folder: Path) -> None:
    save_source(network, card, folder)
