"""What an error says of a part that is not there: whose it is, what kind it is, or which name is near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from sfda_kit.errors import did_you_mean
from sfda_kit.plugins.hookspecs import KINDS
from sfda_kit.plugins.shipped import SHIPPED

if TYPE_CHECKING:
    from sfda_kit.plugins.plugin import Plugin
    from sfda_kit.plugins.registry import Registry


def unknown(registry: Registry, kind: str, name: str) -> str:
    """Return the message for a name that reaches no part of ``registry``."""
    if clash := registry.clashes.get((kind, name)):
        return str(clash)
    prefix, colon, _ = name.rpartition(":")
    owner = prefix if colon else SHIPPED.get((kind, name), "")
    if owner:
        return _missing(registry, kind, name, owner)
    if kinds := [other for other in KINDS if other != kind and _exists(registry, other, name)]:
        named = " and ".join(f"{_article(other)} {other}" for other in kinds)
        return (
            f"{name!r} is {named}, not {_article(kind)} {kind}. {did_you_mean(name, registry.names_and_aliases(kind))}"
        )
    hint = did_you_mean(name, registry.names_and_aliases(kind))
    failed = "".join(f" Not loaded, and it may have this part: {plugin}." for plugin in registry.failed)
    return f"Unknown {kind} {name!r}. {hint}{failed} `sfda-kit plugins list` shows what is installed."


def _missing(registry: Registry, kind: str, name: str, owner: str) -> str:
    """Return why a part of a known owner is missing: not loaded, not installed, or not in this version."""
    failed = next((plugin for plugin in registry.failed if _is(plugin, owner)), None)
    part = f"The {kind} {name!r} is part of {owner}"
    if failed:
        return f"{part}, which could not be loaded: {failed}. What to do: {failed.remedy}."
    theirs = [c.declared_name for c in registry.components.values() if _same(c.owner, owner) and c.kind == kind]
    if any(_same(component.owner, owner) for component in registry.components.values()):
        hint = did_you_mean(name.rpartition(":")[2], theirs)
        return f"{owner}, as installed here, has no {kind} {name!r}. {hint} Or: pip install --upgrade {owner}"
    checkout = f" (from a checkout: pip install ./plugins/{owner})" if owner in SHIPPED.values() else ""
    return f"{part}, which is not installed. Install it with: pip install {owner}{checkout}"


def _exists(registry: Registry, kind: str, name: str) -> bool:
    return (kind, registry.canonical(kind, name)) in registry.components or (kind, name) in SHIPPED


def _is(plugin: Plugin, owner: str) -> bool:
    return _same(plugin.owner, owner)


def _same(one: str, other: str) -> bool:
    return canonicalize_name(one) == canonicalize_name(other)


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
