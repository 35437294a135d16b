"""Merging of settings from several sources, key by key and part by part. Later ones win."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sfda_kit.errors import UserError

PARTS = ("bridge", "input_bridge", "teacher_bridge", "labeler")
"""The keys of a recipe that name a part. A bare name means ``{name: NAME}``, and ``none`` means no part."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings deeply. Values of ``over`` win, also None."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def merge_settings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge whole configurations. Shorthands in ``recipe`` do not erase each other; a method replaces another whole."""
    merged = merge(base, over)
    if "method" in over:
        merged["method"] = over["method"]
        merged.pop("file_recipe", None)
    if "file_recipe" in over:
        merged["file_recipe"] = over["file_recipe"]
    recipes = base.get("recipe", {}), over.get("recipe", {})
    if "recipe" in merged and all(isinstance(recipe, Mapping) for recipe in recipes):
        merged["recipe"] = merge_recipe(*recipes)
    return merged


def merge_recipe(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge changes of a recipe or of one of its phases over those of ``base``. The result is spelt out."""
    old, new = spelt_out(base), spelt_out(over)
    merged = merge(old, new)
    for key in PARTS:
        if key in old and key in new:
            merged[key] = merge_part(old[key], new[key])
    if "phases" in merged:
        before, after = old.get("phases", {}), new.get("phases", {})
        merged["phases"] = {name: merge_recipe(before.get(name, {}), after.get(name, {})) for name in merged["phases"]}
    return merged


def merge_part(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Merge ``new`` over ``old``. Another part keeps the weight, which belongs to the recipe, but not the options."""
    if old is None or new is None:
        return None if new is None else dict(new)
    if "name" in old and new.get("name", old["name"]) != old["name"]:
        return {key: old[key] for key in ("weight",) if key in old} | dict(new)
    return merge(old, new)


def spelt_out(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Turn shorthands of parts, aligners (a number is a weight) and phases into mappings. Raises ``UserError``."""
    spelt = dict(changes)
    for key in PARTS:
        if key in spelt:
            spelt[key] = _part(key, spelt[key])
    if "options" in spelt:
        spelt["options"] = dict(_mapping("options", spelt["options"]))
    if "aligners" in spelt:
        spelt["aligners"] = {name: _aligner(name, value) for name, value in _mapping("aligners", spelt["aligners"])}
    if "phases" in spelt:
        phases = _mapping("phases", spelt["phases"])
        spelt["phases"] = {name: spelt_out(dict(_mapping(f"phases.{name}", value))) for name, value in phases}
    return spelt


def _part(key: str, value: Any) -> dict[str, Any] | None:
    if value is None or value == "none":
        return None
    return {"name": value} if isinstance(value, str) else dict(_mapping(key, value))


def _aligner(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(name, str):
        raise UserError(f"recipe.aligners: {name!r} is no name of an aligner; expected NAME: WEIGHT")
    return {"weight": value} if isinstance(value, (int, float)) else dict(_mapping(f"aligners.{name}", value))


def _mapping(key: str, value: Any) -> Iterable[tuple[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise UserError(f"recipe.{key} is {value!r}; expected values by key, for example --set recipe.{key}.KEY=VALUE")
    return value.items()
