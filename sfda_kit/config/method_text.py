"""A method as the text of a YAML file, which ``method_files.py`` reads back to the same recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from sfda_kit.interfaces.recipe import Phase, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfda_kit.plugins.component import Component

TOLD = ("train", "length")
"""What is written of a phase even where it is the default, because it is what people change first."""


def method_text(method: Component, recipe: Recipe, name: str) -> str:
    """Return the file of ``method`` with ``recipe``, under another ``name``. What is a default is left out."""
    head = {
        "name": name,
        "summary": method.summary,
        "paper": method.paper,
        "tuned_on": list(method.tuned_on),
        "settings": _plain(method.settings),
    }
    told = {key: value for key, value in head.items() if value} | written_recipe(recipe)
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)


def written_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return the bridges and phases of ``recipe`` in their short forms, as plain values."""
    data = recipe.model_dump(mode="json", exclude_defaults=True)
    told: dict[str, Any] = {"input_bridge": _part(recipe.input_bridge.model_dump(mode="json"))}
    if recipe.teacher_bridge:
        told["teacher_bridge"] = _part(recipe.teacher_bridge.model_dump(mode="json"))
    phases = [_phase(*both) for both in zip(recipe.phases, data.get("phases", ()), strict=True)]
    if len(phases) == 1 and phases[0]["name"] == Phase().name:
        return told | {key: value for key, value in phases[0].items() if key != "name"}
    return told | ({"phases": phases} if phases else {})


def _phase(phase: Phase, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a phase; ``changed``: what is not the default in it."""
    full = phase.model_dump(mode="json")
    told: dict[str, Any] = {"name": phase.name, "aligners": {}}
    for name, aligner in full["aligners"].items():
        others = {key: value for key, value in aligner.items() if value and key != "weight"}
        told["aligners"][name] = {"weight": aligner["weight"], **others} if others else aligner["weight"]
    if full["labeler"]:
        told["labeler"] = {key: value for key, value in full["labeler"].items() if value or key == "weight"}
    told |= {key: full[key] for key in TOLD}
    return told | {key: value for key, value in changed.items() if key not in told}


def _part(part: Mapping[str, Any]) -> Any:
    """Return a bridge as its name alone where it has nothing else."""
    given = {key: value for key, value in part.items() if value}
    return given["name"] if given.keys() == {"name"} else given


def _plain(settings: Any) -> Any:
    """Return settings of a declaration as YAML has them."""
    if isinstance(settings, dict):
        return {key: _plain(value) for key, value in settings.items()}
    return list(settings) if isinstance(settings, tuple) else settings
