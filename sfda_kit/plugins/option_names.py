"""The options of a part, read from its source text, so that a wrong one is found before anything is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.plugins.code_hash import source_path

if TYPE_CHECKING:
    from sfda_kit.plugins.component import Component


def refuse_unknown(component: Component, options: Mapping[str, Any], accepted: Iterable[str]) -> None:
    """Raise ``UserError`` for the first of ``options`` that is not among ``accepted``."""
    known = list(accepted)
    for option in options:
        if option not in known:
            raise UserError(
                f"The {component.kind} {component.name!r} has no option {option!r}. {did_you_mean(option, known)}"
            )


def check_written_options(component: Component, options: Any) -> None:
    """Raise ``UserError`` for an option that the class of ``component`` does not take, if its text says which it takes.

    The part is not imported. What the text leaves open is checked when the part is built (``building.py``).
    """
    accepted = _written_options(component) if options and isinstance(options, Mapping) else None
    if accepted is not None:
        refuse_unknown(component, options, accepted)


def _written_options(component: Component) -> list[str] | None:
    """Return the parameters of an ``__init__`` that the class writes itself, None where there is no such thing."""
    module, _, name = component.target.partition(":")
    path = source_path(module)
    if path is None or path.suffix != ".py":
        return None
    classes = {node.name: node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)}
    found = classes.get(name)
    if found is None or found.decorator_list or found.keywords:
        return None
    made = {node.name: node.args for node in found.body if isinstance(node, ast.FunctionDef)}
    taken = made.get("__init__")
    if taken is None or taken.kwarg or "__new__" in made:
        return None
    return [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)][1:]
