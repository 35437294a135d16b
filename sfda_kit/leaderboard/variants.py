"""Variants of a method: the settings in the records distinguish them, and the settings that differ name them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sfda_kit.config.digest import digest
from sfda_kit.leaderboard.entries import INITIAL_WEIGHTS, PAIRS, Entry, mapping
from sfda_kit.results.redaction import without_folders

Settings = dict[str, str]

OUTSIDE = {"method", "seed", "preset", "dataset", "recipe", "file_recipe", "tuning", "tuned_with_labels"}
"""Sections that make no variant; a preset stands for other values, and recipes are compared as resolved."""

UNTOUCHED = {"source-only", "oracle", "oracle-plus", "majority", "rgb-ceiling", "imagenet-head", "probe"}
"""Methods that adapt nothing, so the settings of adaptation have no effect on them."""

IDLE = {"adapt", "bridge_training"}

RANDOM = "random weights"


class MethodVariant(NamedTuple):
    """A variant is a method with settings. ``label``: the name to display; ``settings``: those that the label names."""

    method: str
    label: str
    settings: tuple[tuple[str, str], ...]


def flat(value: Any, prefix: str) -> Settings:
    """Return the leaves of nested settings by dotted key; a part's name or a term's weight stands for the part itself.
    For example ``{"encoding": {"name": "jet", "options": {}}}`` gives ``{"encoding": "jet"}``."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = {str(item.get("name", number)): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        return {prefix: _spelt(value)}
    head = next((key for key in ("name", "weight") if key in value), None)
    leaves: Settings = {}
    for key in sorted(value, key=str):
        leaves |= flat(value[key], prefix if key == head else f"{prefix}.{key}")
    return leaves


def _spelt(value: Any) -> str:
    """Return ``value`` as JSON, but text without quotes. Numbers skip the JSON encoder, because boards have many."""
    if isinstance(value, str):
        return value
    return repr(value) if type(value) in (int, float) else json.dumps(value, default=str)


def settings_of(entry: Entry) -> Settings:
    """Return every setting but those of data, seed, hardware, recipe and the network that the table names."""
    config = entry.record.config
    idle = OUTSIDE | IDLE if entry.record.method in UNTOUCHED else OUTSIDE
    found: Settings = {}
    for section, value in config.items():
        kept = value
        if section == "model":
            kept = {"bottleneck": mapping(value).get("bottleneck")}
        elif section == "compute":  # the rest of it is where the run was made
            kept = {"precision": mapping(value)["precision"]} if mapping(value).get("precision") else {}
        elif section == "source":
            kept = {key: setting for key, setting in mapping(value).items() if key != "card"}
        if section not in idle:
            found |= flat(kept, section)
    found.pop(INITIAL_WEIGHTS, None)  # ``_with_controls`` names it
    return found


def changes_of(entry: Entry) -> Settings:
    """Return the user's changes to the recipe."""
    return flat(mapping(entry.record.config.get("recipe")), "recipe")


def recipe_of(entry: Entry) -> Settings:
    """Return the recipe as it was resolved, empty where the run never began."""
    return flat(entry.record.recipe, "recipe") if entry.record.recipe else {}


def find_variants(tables: Mapping[Any, Sequence[Entry]]) -> dict[int, MethodVariant]:
    """Return the variant of every entry by ``id(entry)``; labels name the settings in which a method's variants differ.
    Recipe and encoding may differ anywhere on the board, others (rates, epochs, which tasks may set) within a table."""
    by_method: dict[str, dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    found: dict[int, MethodVariant] = {}
    for number, entries in enumerate(tables.values()):
        for entry in entries:
            if as_row := entry.tuned:
                found[id(entry)] = MethodVariant(entry.record.method, as_row.label, as_row.settings)
            else:
                by_method[entry.record.method][number].append(entry)
    for method, groups in by_method.items():
        found |= _of_method(method, list(groups.values()))
    return _unique(found)


def _unique(variants: dict[int, MethodVariant]) -> dict[int, MethodVariant]:
    """Add a digest to labels that two variants would share, such as where a method is named like a variant."""
    of_label: dict[str, set[MethodVariant]] = defaultdict(set)
    for variant in variants.values():
        of_label[variant.label].add(variant)

    def named(variant: MethodVariant) -> MethodVariant:
        if len(of_label[variant.label]) == 1:
            return variant
        return variant._replace(label=f"{variant.label} #{digest([variant.method, variant.settings])[:6]}")

    return {key: named(variant) for key, variant in variants.items()}


def _of_method(method: str, groups: Sequence[Sequence[Entry]]) -> dict[int, MethodVariant]:
    entries = [entry for group in groups for entry in group]
    settings = {id(entry): settings_of(entry) for entry in entries}
    changes = {id(entry): changes_of(entry) for entry in entries}
    telling = _differing([changes[id(entry)] for entry in entries], absent_counts=True)
    telling |= {k for k in _differing([settings[id(e)] for e in entries]) if k.partition(".")[0] == "encoding"}
    for group in groups:
        telling |= _differing([settings[id(entry)] for entry in group])
    shown = {key: {k: v for k, v in (settings[key] | changes[key]).items() if k in telling} for key in settings}
    _tell_recipes_apart(entries, shown)
    return {id(entry): _with_controls(entry, method, shown[id(entry)]) for entry in entries}


def _with_controls(entry: Entry, method: str, settings: Settings) -> MethodVariant:
    """Return the variant of ``entry``. A control has the label of its counterpart, and says what is other about it."""
    label, settings = _label(method, settings), settings | entry.control_settings
    label = ", ".join([label, *(spell_setting(*setting) for setting in entry.control_settings.items())])
    return MethodVariant(method, label, tuple(sorted(settings.items())))


def spell_setting(key: str, value: str) -> str:
    """Return a setting as rows show it: a control in words, such as ``shuffled pairs``, else ``KEY=VALUE``."""
    if key == PAIRS:
        return value.replace("shuffled", "shuffled pairs", 1).replace("-", " ")
    return RANDOM if key == INITIAL_WEIGHTS else f"{key}={value}"


def matched_counterpart(variant: MethodVariant) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Return method and settings of the variant with matched pairs, None where ``variant`` has matched pairs itself."""
    rest = tuple(setting for setting in variant.settings if setting[0] != PAIRS)
    return (variant.method, rest) if len(rest) < len(variant.settings) else None


def _tell_recipes_apart(entries: Sequence[Entry], shown: dict[int, Settings]) -> None:
    """Add the differing settings where equal changes led to different recipes (with another version of a plugin)."""
    alike: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        alike[digest(shown[id(entry)])].append(entry)
    for group in alike.values():
        recipes = {id(entry): recipe for entry in group if (recipe := recipe_of(entry))}
        telling = _differing(list(recipes.values()), absent_counts=True)
        for key, recipe in recipes.items():
            shown[key] = shown[key] | {k: v for k, v in recipe.items() if k in telling}


def _differing(found: Sequence[Settings], absent_counts: bool = False) -> set[str]:
    """Return the keys with more than one value; a missing key counts as another value only if ``absent_counts``."""
    values: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for settings in found:
        for key, value in settings.items():
            values[key].add(value)
            counts[key] += 1
    return {key for key in values if len(values[key]) > 1 or (absent_counts and counts[key] < len(found))}


def _label(method: str, settings: Settings) -> str:
    if not settings:
        return method
    return f"{method} ({', '.join(f'{key}={without_folders(value)}' for key, value in sorted(settings.items()))})"


MOST_NAMED = 8


def settings_that_vary(tables: Mapping[Any, Sequence[Entry]], variants: Mapping[int, MethodVariant]) -> tuple[str, ...]:
    """Return a sentence that names the settings in which rows of the same name differ between tables, if any."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entries in tables.values():
        for entry in (one for one in entries if one.tuned is None):
            for key, value in settings_of(entry).items():
                values[variants[id(entry)].label, key].add(value)
    keys = sorted({key for (_, key), found in values.items() if len(found) > 1})
    if not keys:
        return ()
    named = ", ".join(keys[:MOST_NAMED]) + (f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else "")
    return (f"Settings that differ between tables in rows of the same name: {named}.",)
