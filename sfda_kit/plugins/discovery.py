"""Discovery of plugins. A plugin that fails affects no other one, and its failure is kept as data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from sfda_kit.errors import UserError
from sfda_kit.plugins import hookspecs
from sfda_kit.plugins.interface_version import refusal
from sfda_kit.plugins.registry import KINDS, Component, Registry, build

GROUP = "sfda_kit"


@dataclass(frozen=True)
class Plugin:
    """An installed plugin package. ``error`` says why it could not be loaded, and is empty where it was loaded."""

    owner: str
    version: str
    error: str = ""
    remedy: str = ""


@dataclass
class Installation:
    """The plugins that were found, and the registry of their parts."""

    plugins: list[Plugin] = field(default_factory=list)
    registry: Registry = field(default_factory=Registry)


@cache
def installation() -> Installation:
    """Load plugins once per process. ``SFDA_KIT_STRICT_PLUGINS=1`` (for CI) raises ``UserError`` on any problem."""
    found = Installation()
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    from sfda_kit import __version__, builtin

    _register(manager, found, builtin, "sfda-kit", __version__)
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        _load(manager, found, entry)
    if os.environ.get("SFDA_KIT_STRICT_PLUGINS") == "1":
        _raise_problems(found)
    return found


def _load(manager: pluggy.PluginManager, found: Installation, entry: EntryPoint) -> None:
    owner = entry.dist.name if entry.dist else entry.name
    version = entry.dist.version if entry.dist else "unknown"
    try:
        module = entry.load()
        refused = refusal(module, owner)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin may even call sys.exit(), which must not stop the others
        found.plugins.append(_failure(owner, version, error))
    else:
        if refused:
            found.plugins.append(Plugin(owner, version, *refused))
            return
        _register(manager, found, module, owner, version)


def _register(manager: pluggy.PluginManager, found: Installation, module: Any, owner: str, version: str) -> None:
    name = f"{owner} {getattr(module, '__name__', module)}"  # a distribution may have several entry points
    try:
        manager.register(module, name=name)
        manager.check_pending()
        declared = [(kind, c) for kind in KINDS for c in _declared(manager, module, kind)]
    except Exception as error:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        found.plugins.append(_failure(owner, version, error))
        return
    for kind, component in declared:
        found.registry.add(kind, component, owner)
    if (loaded := Plugin(owner, version)) not in found.plugins:
        found.plugins.append(loaded)


def _declared(manager: pluggy.PluginManager, module: Any, kind: str) -> list[Component]:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    hook = manager.subset_hook_caller(hookspecs.PREFIX + kind, others)
    components = [component for declared in hook() for component in declared]
    for component in components:
        if not isinstance(component, Component):
            raise TypeError(f"{hookspecs.PREFIX}{kind} returned {component!r}, not a sfda_kit.Component")
    return components


def _failure(owner: str, version: str, error: BaseException) -> Plugin:
    text = f"{type(error).__name__}: {error}"
    return Plugin(owner, version, text, f"pip install --upgrade {owner}, or pip uninstall {owner}")


def _raise_problems(found: Installation) -> None:
    problems = [f"{p.owner} {p.version}: {p.error}" for p in found.plugins if p.error]
    problems += [
        f"the {kind} {name!r} is claimed by {' and '.join(owners)}"
        for (kind, name), owners in found.registry.conflicts.items()
    ]
    if problems:
        raise UserError("Plugin problems (strict mode): " + "; ".join(problems))


def registry() -> Registry:
    """Return the registry of the installed parts."""
    return installation().registry


def build_part(kind: str, name: str, options: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """Build a part of this package or of any plugin: ``build_part("aligner", "distill", {"temperature": 2})``.

    ``given``: arguments that each part of this kind needs, such as ``config`` for a data set. Raises ``UserError``
    with the nearest names where no installed part has this name, or with the options where one is unknown.
    """
    return build(registry().get(kind, name), options, **given)
