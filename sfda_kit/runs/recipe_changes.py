"""The user's changes of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sfda_kit.config.explain import explain
from sfda_kit.config.merging import merge_part, merge_recipe, spelt_out
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.recipe import Phase, Recipe
from sfda_kit.plugins.discovery import registry

INLINE = tuple(name for name in Phase.model_fields if name != "name")
BRIDGE_ROLES = ("input_bridge", "teacher_bridge")


def apply_overrides(recipe: Recipe, overrides: Mapping[str, Any], method: str) -> Recipe:
    """Merge the user's changes into a recipe. Raises ``UserError`` for an unknown key or an invalid value.

    Keys of a phase that are given at the top level change the main phase (named ``adapt``, else the last);
    ``phases: {NAME: {...}}`` changes the others. ``bridge`` means the teacher bridge where the recipe has one, else the
    input bridge. An aligner of weight 0 is removed, as is a part called ``none`` (an input bridge is then ``copy``).
    """
    changes = spelt_out(overrides)
    known = [*INLINE, *BRIDGE_ROLES, "bridge", "phases", "options"]
    for key in changes:
        if key not in known:
            raise UserError(f"A recipe has no key {key!r}. {did_you_mean(key, known)}")
    if "bridge" in changes:
        role = "teacher_bridge" if recipe.teacher_bridge else "input_bridge"
        changes = merge_recipe({role: changes.pop("bridge")}, changes)
    by_phase = dict(changes.get("phases", {}))
    inline = {key: changes[key] for key in INLINE if key in changes}
    if inline:
        main = main_phase(recipe, method)
        by_phase[main] = merge_recipe(inline, by_phase.get(main, {}))
    data = recipe.model_dump()
    for role in BRIDGE_ROLES:
        if role in changes and (part := merge_part(data.pop(role), changes[role])):
            data[role] = part
    data["phases"] = _changed_phases(data["phases"], by_phase, method)
    data["options"] |= changes.get("options", {})
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise UserError(explain(error, f"recipe of {method}")) from None


def main_phase(recipe: Recipe, method: str) -> str:
    """Return the name of the main phase, whose length ``--epochs`` sets."""
    names = [phase.name for phase in recipe.phases]
    if not names:
        raise UserError(
            f"The method {method!r} trains nothing after its bridge, so it takes no aligner, labeler or "
            "scope. Choose a method with a training phase (shot, socket, tgkt)."
        )
    return "adapt" if "adapt" in names else names[-1]


def _changed_phases(phases: Any, changes: Mapping[str, Any], method: str) -> list[dict[str, Any]]:
    names = [phase["name"] for phase in phases]
    for name in changes:
        if name not in names:
            raise UserError(f"The method {method!r} has no phase {name!r}. {did_you_mean(name, names)}")
    return [_changed_phase(phase, changes.get(phase["name"], {})) for phase in phases]


def _changed_phase(phase: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    for name in change.get("aligners", {}):
        registry().get("aligner", name)  # A misspelt aligner of weight 0 would otherwise be accepted.
    merged = merge_recipe(phase, change)
    merged["aligners"] = {
        name: value for name, value in merged["aligners"].items() if value.get("weight") != 0 or value.get("changes")
    }
    return merged
