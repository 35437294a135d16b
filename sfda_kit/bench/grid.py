"""A grid of parts and weights: factors, their levels, and the variants of a method that they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sfda_kit.bench.method_files import with_contents
from sfda_kit.config.digest import digest
from sfda_kit.config.loading import load_config
from sfda_kit.config.merging import PARTS, merge_settings
from sfda_kit.config.method_files import beside, method_of
from sfda_kit.config.models import RunConfig
from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.interfaces.recipe import Phase

OF_A_RECIPE = tuple(dict.fromkeys((*PARTS, *(key for key in Phase.model_fields if key != "name"), "phases", "options")))
"""Keys that need no ``recipe.`` before them."""

Settings = dict[str, Any]
Levels = dict[str, Settings]

OWN = "own"
"""Name of the recipe's own level of a factor, where no level of the grid is equal to it."""

BASE = "recipe as it is"
"""Name of the variant that a one-at-a-time design varies."""


class GridVariant(NamedTuple):
    """A variant is one point of a grid: its name, its level in every factor, and its settings."""

    name: str
    levels: dict[str, str]
    settings: Settings


class Grid(BaseModel):
    """A grid says what is varied. ``base``: settings of every variant, such as ``method``.

    ``factors``: each has one of three forms: a setting and its values (``bridge: [copy, unet]``,
    ``adapt.lr: [0.01, 0.02]``), the same under a name of its own (``L_rec: {SETTING: [0, 1]}``), or levels with
    any settings (``length: {short: {...}, long: {...}}``). Parts and aligners need no ``recipe.`` before them.
    The other levels of a factor are compared with its first level.

    ``design``: every combination of levels, or the recipe's own settings with one factor changed at a time.
    ``exclude``: levels by factor; a variant that has all of them is left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Settings = {}
    factors: dict[str, Levels] = Field(min_length=1)
    design: Literal["full", "one-at-a-time"] = "full"
    exclude: tuple[dict[str, str], ...] = ()

    @field_validator("factors", mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        named = [(_short(str(name)), _levels(str(name), levels)) for name, levels in value.items()]
        if len(dict(named)) < len(named):
            raise ValueError(f"a factor stands here twice: {', '.join(name for name, _ in named)}")
        return dict(named)

    @field_validator("exclude", mode="before")
    @classmethod
    def _as_labels(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        return [
            {_short(str(k)): label(v) for k, v in one.items()} if isinstance(one, Mapping) else one for one in value
        ]

    @model_validator(mode="after")
    def _makes_sense(self) -> Grid:
        for name, levels in self.factors.items():
            if len(levels) == 1 and self.design == "full":
                raise ValueError(
                    f"the factor {name!r} has one level ({next(iter(levels))}), so there is nothing to compare it "
                    "with. Give it a second one, or make it a setting of every cell (`base`; --set on the command "
                    "line)"
                )
        for name, level in ((name, level) for one in self.exclude for name, level in one.items()):
            if name not in self.factors:
                raise ValueError(f"exclude: there is no factor {name!r}. {did_you_mean(name, self.factors)}")
            if level not in self.factors[name]:
                raise ValueError(
                    f"exclude: the factor {name!r} has no level {level!r}. {did_you_mean(level, self.factors[name])}"
                )
        everywhere = any(all("method" in level for level in levels.values()) for levels in self.factors.values())
        if "method" not in self.base and (self.design != "full" or not everywhere):
            raise ValueError("which method? Put `method: NAME` into `base` (--method NAME)")
        return self

    def with_files(self, folder: Path) -> Grid:
        """Return the grid with the content of each method's file in ``folder``; a level is called like its method."""
        read = {name: with_contents(levels, folder) for name, levels in self.factors.items()}
        changed = {
            "base": beside(self.base, folder),
            "factors": {name: dict(levels.values()) for name, levels in read.items()},
            "exclude": tuple({name: read[name][level][0] for name, level in one.items()} for one in self.exclude),
        }
        return self.model_copy(update=changed)

    def variants(self, common: Settings) -> list[GridVariant]:
        """Return all points; every cell shares ``common``. Raises ``UserError`` when nothing is left to compare."""
        found = list(self._full()) if self.design == "full" else list(self._one_at_a_time(common))
        if len(found) < 2:
            raise UserError("The grid is empty: `exclude` leaves fewer than two variants. Exclude less.")
        return found

    def levels(self, variants: Sequence[GridVariant]) -> dict[str, tuple[str, ...]]:
        """Return the levels of each factor in ``variants``; the others are compared with the first one."""
        there = {name: {variant.levels[name] for variant in variants} for name in self.factors}
        first = {name: variants[0].levels[name] if self.design != "full" else "" for name in self.factors}
        return {
            name: tuple(dict.fromkeys(level for level in (first[name], *levels) if level in there[name]))
            for name, levels in self.factors.items()
        }

    def _full(self) -> Iterator[GridVariant]:
        for chosen in product(*(levels.items() for levels in self.factors.values())):
            levels = {name: level for name, (level, _) in zip(self.factors, chosen, strict=True)}
            if not any(one.items() <= levels.items() for one in self.exclude):
                settings = reduce(merge_settings, (settings for _, settings in chosen), self.base)
                yield GridVariant(", ".join(f"{name}={level}" for name, level in levels.items()), levels, settings)

    def _one_at_a_time(self, common: Settings) -> Iterator[GridVariant]:
        own = identity(merge_settings(common, self.base))
        same = {
            name: [level for level, settings in levels.items() if self._with(common, settings) == own]
            for name, levels in self.factors.items()
        }
        here = {name: next(iter(levels), OWN) for name, levels in same.items()}
        yield GridVariant(BASE, here, self.base)
        for name, levels in self.factors.items():
            if len(same[name]) == len(levels):
                raise UserError(
                    f"The factor {name!r} has no level beside the recipe's own ({', '.join(levels)}), so there is "
                    "nothing to compare. Give it another one."
                )
            for level, settings in levels.items():
                if level not in same[name]:
                    yield GridVariant(f"{name}={level}", {**here, name: level}, merge_settings(self.base, settings))

    def _with(self, common: Settings, settings: Settings) -> str:
        return identity(merge_settings(merge_settings(common, self.base), settings))


def identity(settings: Settings) -> str:
    """Return a digest of ``settings`` with the recipe resolved; it is equal for two ways to write the same.

    Raises ``UserError`` on an unknown part, recipe key or setting.
    """
    from sfda_kit.plugins.discovery import build_part, registry
    from sfda_kit.runs.plan import recipe_of

    config = load_config(settings)
    recipe = recipe_of(method_of(config), config)
    objectives = {}
    for role, bridge in recipe.bridges().items():
        default = build_part("bridge", bridge.name, bridge.options).default_objective
        objectives[role] = {**default, **bridge.objective}
    for phase in recipe.phases:
        if phase.labeler:
            registry().get("labeler", phase.labeler.name)
    parts = recipe.model_dump(mode="json")
    for role in objectives:
        parts[f"{role}_bridge"].pop("objective")
    return digest([config.model_dump(mode="json", exclude={"recipe"}), parts, objectives])


def _levels(name: str, value: Any) -> Levels:
    """Return the levels of a factor given in any of its three forms. Raises ``ValueError``."""
    if isinstance(value, list):
        return _of_values(name, _path(name), value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, values),) = value.items()
        if isinstance(values, list):
            return _of_values(name, _path(str(key)), values)
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) or v is None for v in value.values()):
        return {label(level): dict(settings or {}) for level, settings in value.items()}
    raise ValueError(
        f"the factor {name!r} is {value!r}; expected a list of values, {{SETTING: [values]}} or {{LEVEL: settings}}"
    )


def _of_values(name: str, path: Sequence[str], values: Sequence[Any]) -> Levels:
    if not values:
        raise ValueError(f"the factor {name!r} has no level: the grid is empty")
    found: Levels = {}
    for value in values:
        if label(value) in found:
            raise ValueError(f"the factor {name!r} has the level {label(value)} twice")
        found[label(value)] = reduce(lambda inner, key: {key: inner}, reversed(path), value)
    return found


def _path(name: str) -> list[str]:
    """Return the keys that lead to a setting: ``bridge`` -> ``recipe``, ``bridge``."""
    path = name.split(".")
    if path[0] in OF_A_RECIPE:
        path = ["recipe", *path]
    if path[0] not in RunConfig.model_fields:
        known = [*OF_A_RECIPE, *RunConfig.model_fields]
        raise ValueError(f"there is no setting {name!r} to vary. {did_you_mean(path[0], known)}")
    return path


def _short(name: str) -> str:
    return name.removeprefix("recipe.").removeprefix("aligners.")


def label(value: Any) -> str:
    """Return a level as text for people: a list is joined by +, and nothing becomes ``none``."""
    if isinstance(value, str):
        return value
    if value is None or value == []:
        return "none"
    if isinstance(value, (list, tuple)):
        return "+".join(map(label, value))
    return json.dumps(value, default=str)
