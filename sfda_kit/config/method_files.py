"""Methods in YAML files: a recipe with a name and settings, which runs without a plugin.

The keys of a file are ``name``, ``settings``, ``tuned_on`` (as in ``Component``) and the fields of ``Recipe``; those of
a phase may stand beside them where there is only one. Everywhere else the method is called ``file:NAME``, and the
configuration of a run holds its recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfda_kit.config.explain import dotted, listed
from sfda_kit.config.method_checks import KEYS, OF_RECIPE, problems_of, with_types
from sfda_kit.config.models import OF_A_FILE, RunConfig
from sfda_kit.config.part_names import renamed_recipe, with_part_names
from sfda_kit.config.yaml import parse_yaml
from sfda_kit.config.yaml_lines import LineOf, Place, lines_of
from sfda_kit.errors import UserError
from sfda_kit.files import read_text
from sfda_kit.interfaces.recipe import Recipe
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.discovery import registry

SUFFIXES = (".yaml", ".yml")
SUMMARY = "a recipe in a file"


@dataclass(frozen=True)
class FileMethod(Component):
    """A file method is a method that a file describes, in the form of a declaration. ``name``: ``file:NAME``."""

    recipe: Recipe = field(default_factory=Recipe, hash=False)

    def load(self) -> Recipe:
        """Return the recipe of the file."""
        return self.recipe


def is_method_file(method: Any) -> bool:
    """Return whether ``method`` is the path of a YAML file and no name."""
    return isinstance(method, (str, Path)) and str(method).lower().endswith(SUFFIXES)


def method_of(config: RunConfig) -> Component:
    """Return the method of a run: that of a file, else an installed one. Raises ``UserError`` for an unknown name."""
    if config.file_recipe is None:
        return registry().get("method", config.method)
    return FileMethod(config.method, "", SUMMARY, kind="method", recipe=config.file_recipe)


def read_method(path: Path) -> FileMethod:
    """Return the method in the file ``path``. Raises ``UserError`` that names file, line and key of each mistake."""
    return method_from(*_read(path))


def method_data(path: Path) -> dict[str, Any]:
    """Return what the file ``path`` holds, checked, so that it can stand in the place of the path."""
    data, what, lines = _read(path)
    method_from(data, what, lines)
    return data


def beside(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return settings of a file in ``folder``, with the content of the method's file where they name one."""
    method = settings.get("method", "")
    return {**settings, "method": method_data(folder / method)} if is_method_file(method) else dict(settings)


def method_from(
    data: Mapping[str, Any], what: str = "recipe of the method", lines: LineOf = lambda _: None
) -> FileMethod:
    """Return the method that ``data`` describes. Raises ``UserError`` with a line for each mistake.

    No part is imported: what cannot be seen in its text is found when it is built.
    """
    problems = [(_as_written(place, data), text) for place, text in problems_of(data)]
    if problems:
        problems.sort(key=lambda problem: lines(problem[0]) or 0)
        raise UserError(listed(what, [(_where(place, lines) or what, text) for place, text in problems]))
    recipe = Recipe.model_validate({key: value for key, value in data.items() if key in OF_RECIPE})
    named = renamed_recipe(recipe.model_dump(exclude={"summary", "paper"}), registry().canonical)
    return FileMethod(
        f"{OF_A_FILE}{data['name']}",
        "",
        recipe.summary or SUMMARY,
        recipe.paper,
        settings=with_part_names(with_types(data.get("settings") or {})),
        tuned_on=tuple(data.get("tuned_on") or ()),
        kind="method",
        recipe=Recipe.model_validate(named),
    )


def _read(path: Path) -> tuple[dict[str, Any], str, LineOf]:
    what = f"recipe {path}"
    try:
        text = read_text(path)
        data = parse_yaml(text)
    except OSError as error:
        raise UserError(f"Cannot read the {what}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"The {what} cannot be used: {error}.") from None
    if not isinstance(data, dict):
        raise UserError(f"The {what} must hold a mapping with keys of a recipe: {', '.join(KEYS)}.")
    return data, what, lines_of(text)


def _as_written(place: Place, data: Mapping[str, Any]) -> Place:
    """Return a place as the file has it: where it has no ``phases``, the keys of the only phase stand at the top."""
    return place[2:] if tuple(place[:2]) == ("phases", 0) and not data.get("phases") else place


def _where(place: Place, lines: LineOf) -> str:
    line = lines(place)
    return ", ".join(filter(None, (f"line {line}" if line else "", dotted(place))))
