"""The names of parts in settings and recipes: an alias or ``owner:name`` becomes the name that the registry has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sfda_kit.plugins.discovery import registry

Rename = Callable[[str, str], str]
"""A function from a kind and a name to the name that is meant."""
_KINDS = {"bridge": "bridge", "input_bridge": "bridge", "teacher_bridge": "bridge", "labeler": "labeler"}


def with_part_names(settings: Mapping[str, Any], rename: Rename | None = None) -> dict[str, Any]:
    """Return settings in which each part but the method has its name in the registry, so that two names are one run.

    ``rename``: returns the name of a part in place of the registry.
    """
    rename = rename or registry().canonical
    named = dict(settings)
    for key in ("dataset", "encoding"):
        if key in named:
            named[key] = _part(key, named[key], rename)
    if isinstance(model := named.get("model"), Mapping) and isinstance(given := model.get("backbone_weights"), str):
        named["model"] = {**model, "backbone_weights": rename("weights", given)}
    if isinstance(adapt := named.get("adapt"), Mapping):
        chosen = {key: _part("validator", adapt[key], rename) for key in ("select", "validator") if key in adapt}
        scored = adapt.get("validators")
        if isinstance(scored, (list, tuple)):
            chosen["validators"] = [_part("validator", one, rename) for one in scored]
        named["adapt"] = {**adapt, **chosen}
    for key in ("recipe", "file_recipe"):
        if key in named:
            named[key] = renamed_recipe(named[key], rename)
    return named


def renamed_recipe(recipe: Any, rename: Rename) -> Any:
    """Return a recipe, a phase of one or changes of either with other names of parts."""
    if not isinstance(recipe, Mapping):
        return recipe
    named = {key: _part(_KINDS[key], value, rename) if key in _KINDS else value for key, value in recipe.items()}
    if isinstance(aligners := recipe.get("aligners"), Mapping):
        named["aligners"] = {_part("aligner", name, rename): value for name, value in aligners.items()}
    phases = recipe.get("phases")
    if isinstance(phases, Mapping):
        named["phases"] = {name: renamed_recipe(phase, rename) for name, phase in phases.items()}
    elif isinstance(phases, (list, tuple)):
        named["phases"] = [renamed_recipe(phase, rename) for phase in phases]
    return named


def _part(kind: str, value: Any, rename: Rename) -> Any:
    if isinstance(value, str):
        return rename(kind, value)
    if isinstance(value, Mapping) and isinstance(name := value.get("name"), str):
        return {**value, "name": rename(kind, name)}
    return value
