"""The registry of named parts, which plugins declare as text and which are imported on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sfda_kit.errors import UserError, did_you_mean
from sfda_kit.plugins.clash import Clash, address, keeper
from sfda_kit.plugins.component import Component
from sfda_kit.plugins.hookspecs import KINDS
from sfda_kit.plugins.plugin import Plugin
from sfda_kit.plugins.shipped import SHIPPED
from sfda_kit.plugins.unknown_part import unknown

Key = tuple[str, str]
"""A kind and a name."""


@dataclass
class Registry:
    """A registry holds all declared parts by kind and name.

    A name that several plugins claim stays that of the shipped part, else it is nobody's; the others are named
    ``owner:name``. ``spellings``: the name in ``components`` for each alias and for each ``owner:name``; ``failed``:
    the plugins that could not be loaded.
    """

    components: dict[Key, Component] = field(default_factory=dict)
    spellings: dict[Key, str] = field(default_factory=dict)
    clashes: dict[Key, Clash] = field(default_factory=dict)
    failed: Sequence[Plugin] = ()

    @classmethod
    def of(cls, parts: Iterable[Component], failed: Sequence[Plugin] = ()) -> Registry:
        """Return the registry of ``parts``, whose kind and owner are filled in."""
        parts, claims = list(parts), dict[Key, list[Component]]()
        for part in parts:
            for name in {part.name, part.alias} - {""}:
                claims.setdefault((part.kind, name), []).append(part)
        keepers = {key: keeper(*key, claimants) for key, claimants in claims.items()}
        found = cls(failed=failed)
        for part in parts:
            found._add(part, keepers)
        for key, claimants in claims.items():
            if others := tuple(part for part in claimants if part is not keepers[key]):
                found.clashes[key] = Clash(*key, keepers[key], others)
        return found

    def _add(self, part: Component, keepers: Mapping[Key, Component | None]) -> None:
        kept = {name for name in (part.name, part.alias) if name and keepers[part.kind, name] is part}
        name = part.name if part.name in kept else address(part.owner, part.name)
        self.components[part.kind, name] = replace(part, name=name)
        for spelling in {part.name, part.alias} - {""}:
            self.spellings[part.kind, address(part.owner, spelling)] = name
        for spelling in kept:
            self.spellings[part.kind, spelling] = name

    def canonical(self, kind: str, name: str) -> str:
        """Return the name in ``components`` for ``name``, an alias or ``owner:name``; others come back unchanged."""
        owner, colon, bare = name.rpartition(":")
        return self.spellings.get((kind, address(owner, bare) if colon else name), name)

    def own_name(self, kind: str, name: str, owner: str) -> str:
        """Return the name of the part that ``owner`` means by ``name``: one of its own, if it declares one."""
        return self.spellings.get((kind, address(owner, name)), name)

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted(name for k, name in self.components if k == kind)

    def names_and_aliases(self, kind: str) -> list[str]:
        """Return all names of one kind that a user may write, without the longer ``owner:name``, sorted."""
        bare = {name for k, name in self.spellings if k == kind and ":" not in name}
        return sorted(bare | set(self.names(kind)))

    def of_kind(self, kind: str) -> list[Component]:
        """Return the components of one kind, sorted by name."""
        return [self.components[kind, name] for name in self.names(kind)]

    def get(self, kind: str, name: str) -> Component:
        """Return the component called ``name``. Raises ``UserError`` with conflicting owners or the nearest names."""
        found = self.components.get((kind, self.canonical(kind, name)))
        if found is None:
            raise UserError(unknown(self, kind, name))
        return found

    def named(self, name: str, kind: str | None = None) -> list[Component]:
        """Return the components of any kind, or of ``kind``, that are called ``name``. Raises ``UserError``."""
        if kind is not None and kind not in KINDS:
            raise UserError(f"Unknown kind {kind!r}. {did_you_mean(kind, KINDS)}")
        if kind is not None:
            return [self.get(kind, name)]
        if found := [self.get(k, name) for k in KINDS if (k, self.canonical(k, name)) in self.components]:
            return found
        known = next((k for k in KINDS if (k, name) in SHIPPED or (k, name) in self.clashes), None)
        if known is not None or ":" in name:
            raise UserError(unknown(self, known or "part", name))
        names = {one for k in KINDS for one in self.names_and_aliases(k)}
        raise UserError(f"No part is called {name!r}. {did_you_mean(name, names)} `sfda-kit plugins list` shows all.")
