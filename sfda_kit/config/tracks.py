"""The track of a run: which information it used beyond its source model and unlabelled target images.

It follows from what the parts of the recipe declare (``Component.uses``) and from the configuration: a validator that
selects the epoch, several source cards, and settings that were chosen with labels of the data of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sfda_kit.config.presets import PRESETS, load_preset
from sfda_kit.errors import UserError
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.plugins.building import load_or_reason
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.information import TUNED, in_order, parse_use

NOTHING_ELSE = ("labeler", "encoding")
"""Kinds whose parts are handed target images or answers to them alone: they use no more unless they declare it."""


def track_of(
    method: str, recipe: Mapping[str, Any], config: Mapping[str, Any], task: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Return what a run used, by the names of ``plugins/information.py``; None where it is not known.

    ``recipe``, ``config`` and ``task`` are those of a record, as JSON holds them. It is not known where a part is not
    installed, where one does not declare what it uses, and where the run ended before it had a recipe.
    """
    if not recipe:
        return None
    found: set[str] = set()
    data = names_of_data(config)
    for part in _parts(method, recipe, config):
        uses = None if part is None else uses_of(part, {**config, "recipe": recipe})
        if part is None or uses is None:
            return None
        found |= set(uses) | ({TUNED} if data & set(part.tuned_on) else set())
    if len(_mapping(config.get("source")).get("cards") or ()) > 1:
        found.add("models")
    if config.get("tuned_with_labels") or data & _tuned_by_preset(method, config):
        found.add(TUNED)
    if _mapping(task.get("images")).get("ti") == 0:
        found.discard("pairs")  # what may read pairs found none
    return in_order(found)


def uses_of(part: Component, settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return what a part uses with ``settings``; None where neither it nor its kind tells. It may import the part."""
    if part.uses is not None:
        return tuple(
            use.name for use in map(parse_use, part.uses) if not use.key or _at(settings, use.key) == use.value
        )
    if part.kind in NOTHING_ELSE:
        return ()
    target, _ = load_or_reason(part)
    if part.kind == "validator" and target is not None:
        return in_order(target.reads)  # a declaration of its own kind: it is handed nothing else
    return () if isinstance(target, Recipe) else None  # a recipe reads nothing itself


def _parts(method: str, recipe: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Component | None]:
    """Yield the parts that decide what a run knows, None for one that is not installed."""
    if not config.get("file_recipe"):
        yield _installed("method", method)
    for role in ("input_bridge", "teacher_bridge"):
        if recipe.get(role):
            yield _installed("bridge", recipe[role])
    for phase in recipe.get("phases") or ():
        for name in _mapping(_mapping(phase).get("aligners")):
            yield _installed("aligner", name)
        if _mapping(phase).get("labeler"):
            yield _installed("labeler", phase["labeler"])
    if config.get("encoding"):
        yield _installed("encoding", config["encoding"])
    select = _name(_mapping(config.get("adapt")).get("select") or "last")
    if select != "last":
        yield _installed("validator", select)


def _installed(kind: str, named: Any) -> Component | None:
    try:
        return registry().get(kind, _name(named))
    except UserError:
        return None


def _at(settings: Any, key: str) -> str:
    """Return the value of a dotted key as text, empty where there is none."""
    for step in key.split("."):
        settings = _mapping(settings).get(step)
    return "" if settings is None else str(settings)


def _name(value: Any) -> str:
    """Return the name of a part as a configuration holds it: ``unet``, or ``{"name": "unet"}``."""
    return str(_mapping(value).get("name", "")) if isinstance(value, Mapping) else str(value)


def names_of_data(config: Mapping[str, Any]) -> set[str]:
    """Return the names by which a declaration may call the data of a run: data set, split and folds."""
    dataset = _mapping(config.get("dataset"))
    return {str(dataset[key]) for key in ("name", "split", "folds") if dataset.get(key)}


def _tuned_by_preset(method: str, config: Mapping[str, Any]) -> set[str]:
    """Return the data on which the settings of the method's own preset were chosen, if the run has one."""
    part, preset = _installed("method", method), config.get("preset")
    if part is None or not preset or preset in PRESETS:
        return set()
    try:
        return set(load_preset(part, str(preset)).tuned_on)
    except UserError:  # another version of the plugin had it
        return set()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
