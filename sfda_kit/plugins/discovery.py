"""Discovery of plugins. A plugin that fails affects no other one, and its failure is kept as data."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.plugins.boundary import is_strict
from sfda_kit.plugins.building import build
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.core_requirement import CORE, requirement_refusal
from sfda_kit.plugins.declarations import GROUP, check_distinct, declared_parts
from sfda_kit.plugins.hookspecs import KINDS
from sfda_kit.plugins.interface_version import refusal
from sfda_kit.plugins.plugin import Plugin, failure
from sfda_kit.plugins.registry import Registry

_LOGGER = logging.getLogger(__name__)


@dataclass
class Installation:
    """The plugins that were found, and the registry of their parts."""

    plugins: list[Plugin] = field(default_factory=list)
    registry: Registry = field(default_factory=Registry)

    @property
    def failed(self) -> list[Plugin]:
        """The plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.error]


@cache
def installation() -> Installation:
    """Load plugins once per process. ``SFDA_KIT_STRICT_PLUGINS=1`` (for CI) raises ``UserError`` on any problem."""
    from sfda_kit import __version__, builtin

    found = Installation([Plugin(CORE, __version__)])
    parts = declared_parts(builtin, CORE, __version__)
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        started = time.perf_counter()
        plugin = _load(entry, parts)
        _note(found, replace(plugin, seconds=time.perf_counter() - started))
    found.registry = Registry.of(parts, found.failed)
    if is_strict():
        _raise_problems(found)
    for plugin in found.plugins[1:]:
        _LOGGER.debug("%s %s loaded in %.3f s", plugin.owner, plugin.version, plugin.seconds)
    return found


def _load(entry: EntryPoint, parts: list[Component]) -> Plugin:
    """Add the parts of a plugin to ``parts``, all or none of them."""
    owner = entry.dist.name if entry.dist else entry.name
    version = entry.dist.version if entry.dist else "unknown"
    if refused := requirement_refusal(entry.dist.requires or () if entry.dist else (), owner):
        return Plugin(owner, version, *refused)
    try:
        with redirect_stdout(sys.stderr):  # stdout belongs to results, which other programs may read
            module = entry.load()
            if refused := refusal(module, owner):
                return Plugin(owner, version, *refused)
            declared = declared_parts(module, owner, version)
        check_distinct([*(part for part in parts if part.owner == owner), *declared])
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin may even call sys.exit(), which must not stop the others
        return failure(owner, version, error, entry.module)
    parts += declared
    return Plugin(owner, version)


def _note(found: Installation, plugin: Plugin) -> None:
    """Add a plugin. Several entry points of one distribution that went alike are one plugin."""
    for number, known in enumerate(found.plugins):
        if known == plugin:
            found.plugins[number] = replace(known, seconds=known.seconds + plugin.seconds)
            return
    found.plugins.append(plugin)


def _raise_problems(found: Installation) -> None:
    problems = [f"{plugin.owner} {plugin.version}: {plugin.error}" for plugin in found.failed]
    problems += [str(clash) for clash in found.registry.clashes.values() if clash.is_open]
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


def load_part(kind: str, name: str) -> Any:
    """Return what a part is declared to be, unbuilt: ``load_part("aligner", "infomax")`` is the class ``InfoMax``.

    That is a class, a ``Recipe``, or other data, as the ``kind`` has it. ``name`` may be an alias or ``owner:name``.
    Raises ``UserError`` with the nearest names where there is no such kind, or no installed part of this name.
    """
    if kind not in KINDS:
        raise UserError(f"There is no kind of part {kind!r}. {did_you_mean(kind, KINDS)}")
    return registry().get(kind, name).load()
