"""One broken part: the suite over it, the check that has to catch it, and what that check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfda_kit import Component
from sfda_kit.testing.declaration import DeclarationConformance


@dataclass(frozen=True)
class Broken:
    """``says``: a regular expression; ``plugin``: the text of a module to install under the name ``broken_plugin``."""

    suite: type[DeclarationConformance]
    check: str
    says: str
    plugin: str = ""

    def __str__(self) -> str:
        return f"{self.suite.__name__}-{self.check}"


def broken(
    base: type[Any],
    part: Any,
    check: str,
    says: str,
    plugin: str = "",
    /,
    uses: tuple[str, ...] | None = (),
    **members: Any,
) -> Broken:
    """A suite over the class ``part``, which declares ``uses``. ``members`` replace others of the suite."""
    target = f"{part.__module__}:{part.__name__}"
    declared = Component(
        "broken", target, "a broken part", kind=getattr(base, "kind", "aligner"), owner="broken_plugin", uses=uses
    )
    given: dict[str, Any] = {
        "name": "broken",
        "component": lambda self: declared,
        "part": lambda self: part(),
        **members,
    }
    return Broken(type(f"{part.__name__}Suite", (base,), given), check, says, plugin)
