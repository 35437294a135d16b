"""Weights that a backbone begins with, by what a user calls them. No torch is needed to find them.

They are an installed set of weights by its name, a file, a folder as timm writes it (``local-dir:DIR`` or just its
path), or a repository of the hub (``hf-hub:OWNER/NAME``). A name that is installed is never a path.

A path may contain environment variables (``$DIR/NAME.pth``). The configuration keeps them, so a suite can name a file
that each user has elsewhere, and no identity or record holds a folder of one disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sfda_kit.errors import PartError, UserError
from sfda_kit.interfaces.weights import BackboneWeights
from sfda_kit.models.module_factories import is_reference
from sfda_kit.paths import expanded
from sfda_kit.plugins.boundary import call
from sfda_kit.plugins.building import load_or_reason
from sfda_kit.plugins.discovery import registry
from sfda_kit.source.located_weights import ENDINGS, LocatedWeights, description, file_hash, weights_at

if TYPE_CHECKING:
    from sfda_kit.config.models import ModelConfig
    from sfda_kit.plugins.component import Component

HUB, FOLDER = "hf-hub:", "local-dir:"


def weights_of(model: ModelConfig) -> LocatedWeights | None:
    """Return the weights that the backbone of ``model`` begins with, None where the model names none.

    Raises ``UserError`` where they are not there, are not what their name promises, or are of another backbone.
    """
    if model.backbone_weights is None:
        return None
    if is_reference(model.backbone):
        raise UserError(
            f"--backbone-weights fills a backbone of timm, and {model.backbone} is a module of yours. Let that "
            "function load the weights."
        )
    found = locate(model.backbone_weights)
    if found.architecture and not same_architecture(found.architecture, model.backbone):
        raise UserError(
            f"The weights {found.name!r} are of {found.architecture}, and the backbone is {model.backbone}. Leave out "
            f"--backbone (model.backbone), or name weights of {model.backbone}."
        )
    return found


def locate(given: str) -> LocatedWeights:
    """Return the weights that ``given`` names, with the hash of their file. Raises ``UserError``.

    Those of the hub are fetched unless they are on this disk. The file of a named set has to have the declared hash.
    """
    if given.startswith(HUB):
        from sfda_kit.models.hub import fetched

        repository, _, revision = given.removeprefix(HUB).partition("@")
        return weights_at(fetched(repository, revision or None), given)
    if is_path(given):
        return weights_at(place(given), portable_name(given))
    return located_set(*_named(given))


def located_set(part: Component, weights: BackboneWeights) -> LocatedWeights:
    """Return the set ``weights`` that ``part`` declares. Raises ``UserError`` where its file has another hash."""
    path, sha256 = _checked_file(part, weights)
    return LocatedWeights(
        part.name,
        path,
        sha256,
        architecture=weights.architecture,
        mean=weights.mean,
        std=weights.std,
        licence=weights.licence,
        source=weights.source,
        rename=lambda name: call(part, weights.rename, name),
        part=part,
    )


def stated_architecture(given: str) -> str:
    """Return the backbone that the weights ``given`` say that they are of. Raises ``UserError`` where nothing says it.

    The tensors of a named set are not looked at.
    """
    if is_path(given):
        found = str(description(place(given)).get("architecture") or "")
    else:
        found = locate(given).architecture if given.startswith(HUB) else _named(given)[1].architecture
    if not found:
        raise UserError(f"Of which network are the weights {given}? Nothing says so: name it (--backbone NAME).")
    return found


def place(given: str) -> Path:
    """Return the path that ``given`` is, with the values of its variables. Raises ``UserError`` where one has none."""
    path = expanded(given.removeprefix(FOLDER))
    if path is None:
        raise UserError(
            f"The weights are at {given}, and that variable is not set. Set it to a folder of this disk, or name other "
            "weights: `run --backbone-weights FILE`, or `bench --set model.backbone_weights=FILE`."
        )
    return Path(path)


def portable_name(given: str) -> str:
    """Return how records call the weights ``given``: a file or folder by its last name, others as they are."""
    if given.startswith(HUB):
        return given
    if is_path(given):
        return given.removeprefix(FOLDER).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return registry().canonical("weights", given)


def is_path(given: str) -> bool:
    """Return whether ``given`` is a file or a folder."""
    if given.startswith(HUB) or ("weights", registry().canonical("weights", given)) in registry().components:
        return False
    if given.startswith((FOLDER, "$")) or given.endswith(ENDINGS):
        return True
    return "/" in given or "\\" in given or Path(given).exists()


def names_for(backbone: str) -> list[str]:
    """Return the installed sets of weights for ``backbone``. A set that cannot be loaded is left out."""
    loaded = {part.name: load_or_reason(part)[0] for part in registry().of_kind("weights")}
    return [
        name
        for name, weights in loaded.items()
        if isinstance(weights, BackboneWeights) and same_architecture(weights.architecture, backbone)
    ]


def same_architecture(one: str, other: str) -> bool:
    """Return whether two names of timm are of one network; a tag such as ``.in1k`` says how it was trained."""
    return one.partition(".")[0] == other.partition(".")[0]


def _named(given: str) -> tuple[Component, BackboneWeights]:
    part = registry().get("weights", given)
    weights, reason = load_or_reason(part)
    if reason:
        raise PartError(f"{reason} Choose other weights (--backbone-weights).")
    if not isinstance(weights, BackboneWeights):
        raise PartError(
            f"The {part} is a {type(weights).__name__}; expected a sfda_kit.BackboneWeights. Report this to the "
            f"authors of {part.owner}."
        )
    return part, weights


def _checked_file(part: Component, weights: BackboneWeights) -> tuple[Path, str]:
    """Return the file of a named set and its hash. Raises ``UserError`` unless that is the declared one."""
    path = Path(call(part, weights.file))
    if not path.is_file():
        raise PartError(f"The {part} has no file at {path}. Install {part.owner} again, or report this to its authors.")
    found = file_hash(path)
    if found != weights.sha256:
        raise UserError(
            f"The file {path} is not that of the {part}: its SHA-256 is {found[:16]}..., expected "
            f"{weights.sha256[:16]}.... It is damaged or of another version of its package. Install that package again."
        )
    return path, found
