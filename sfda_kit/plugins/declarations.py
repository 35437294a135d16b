"""The parts that the module of a plugin declares in its hooks, and what is wrong with the module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pluggy

from sfda_kit.errors import did_you_mean
from sfda_kit.plugins import hookspecs
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.hookspecs import KINDS, PREFIX
from sfda_kit.plugins.information import EXPLAINED, INFORMATION, parse_use
from sfda_kit.plugins.plugin import DeclarationError

GROUP = "sfda_kit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def declared_parts(module: Any, owner: str, version: str) -> list[Component]:
    """Call the hooks of ``module`` and return its parts with kind, owner and version.

    Raises ``DeclarationError`` where a hook is missing, misspelt or returns something else than components, and what a
    hook raises.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    _check_hooks(manager, module)
    manager.register(module)
    callers = manager.get_hookcallers(module) or []
    found = [
        replace(component, kind=caller.name.removeprefix(PREFIX), owner=owner, version=version)
        for caller in callers
        for hook in caller.get_hookimpls()
        for component in _components(caller.name, hook.function())
    ]
    _check_names(found)
    return found


def _check_hooks(manager: pluggy.PluginManager, module: Any) -> None:
    marked = [name for name in dir(module) if manager.parse_hookimpl_opts(module, name) is not None]
    named = [name for name in dir(module) if name.startswith(PREFIX) and callable(getattr(module, name))]
    known = [PREFIX + kind for kind in KINDS]
    for name in [*marked, *named]:
        if name not in known:
            raise DeclarationError(f"{name} is no hook. {did_you_mean(name, known)}")
        if name not in marked:
            raise DeclarationError(f"the function {name} lacks @sfda_kit.hookimpl, so nothing would call it")
    if not marked:
        where = getattr(module, "__name__", repr(module))
        raise DeclarationError(f"{where} has no hook; expected functions such as {known[0]} with @sfda_kit.hookimpl")


def _components(hook: str, returned: Any) -> list[Component]:
    if isinstance(returned, (str, Mapping)) or not isinstance(returned, Iterable):
        hint = " (is a return missing?)" if returned is None else ""
        raise DeclarationError(f"{hook} returned {returned!r}{hint}; expected a list of sfda_kit.Component")
    components = list(returned)
    for component in components:
        if not isinstance(component, Component):
            raise DeclarationError(f"{hook} returned {component!r}, not a sfda_kit.Component")
    return components


def _check_names(parts: list[Component]) -> None:
    for part in parts:
        for name in filter(None, (part.name, part.alias)):
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise DeclarationError(f"{part.kind} {name!r}: a name has letters, digits, dots, _ and - only")
        if not re.fullmatch(r"[\w.]+:\w+", part.target):
            raise DeclarationError(f"{part.kind} {part.name!r}: its target is {part.target!r}; expected module:Name")
        _check_uses(part)


def _check_uses(part: Component) -> None:
    known = EXPLAINED if part.owner == CORE else INFORMATION
    for key in ("uses", "tuned_on"):
        if isinstance(getattr(part, key), str):
            raise DeclarationError(f'{part.kind} {part.name!r}: {key} is a text; expected a tuple, such as ("pairs",)')
    for text in part.uses or ():
        if parse_use(str(text)).name not in known:
            raise DeclarationError(f"{part.kind} {part.name!r} uses {text!r}. {did_you_mean(str(text), known)}")


def check_distinct(parts: Iterable[Component]) -> None:
    """Raise ``DeclarationError`` where two of the parts of one owner have the same kind and name."""
    seen: set[tuple[str, str]] = set()
    for part in parts:
        for name in {part.name, part.alias} - {""}:
            if (part.kind, name) in seen:
                raise DeclarationError(f"it declares the {part.kind} {name!r} twice")
            seen.add((part.kind, name))
