"""Names that several plugins declare, and the names that reach each part all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from sfda_kit.plugins.component import Component
from sfda_kit.plugins.core_requirement import CORE
from sfda_kit.plugins.shipped import SHIPPED


@dataclass(frozen=True)
class Clash:
    """A name or alias that several plugins declare, or that is a shipped part's. ``kept``: the part that keeps it."""

    kind: str
    name: str
    kept: Component | None
    others: tuple[Component, ...]

    @property
    def is_open(self) -> bool:
        """Whether the bare name is nobody's."""
        return self.kept is None

    def __str__(self) -> str:
        names = " or ".join(address(part.owner, self.name) for part in self.others)
        claimed = f"The {self.kind} {self.name!r} is claimed by "
        if self.kept:
            return f"{claimed}{_owners([self.kept, *self.others])}. It is that of {self.kept.owner}; else say {names}."
        if owner := SHIPPED.get((self.kind, self.name)):
            return f"{claimed}{_owners(self.others)}, and it is a part of {owner}. Say {names}."
        return f"{claimed}{_owners(self.others)}. Say which one: {names}."


def _owners(parts: Sequence[Component]) -> str:
    return " and ".join(part.owner for part in parts)


def address(owner: str, name: str) -> str:
    """Return ``owner:name``, with the owner written as package indexes do."""
    return f"{canonicalize_name(owner)}:{name}"


def keeper(kind: str, name: str, claimants: Sequence[Component]) -> Component | None:
    """Return whose part the bare name is: the shipped one's, even where its package is not installed."""
    shipped = (CORE, SHIPPED.get((kind, name)))
    if kept := next((part for part in claimants if part.owner in shipped), None):
        return kept
    return claimants[0] if len(claimants) == 1 and (kind, name) not in SHIPPED else None
