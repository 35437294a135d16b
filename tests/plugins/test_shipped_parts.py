"""The table of shipped parts is what the distributions of ``plugins/`` declare. ``python FILE`` writes it anew."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sfda_kit.plugins.discovery import registry
from sfda_kit.plugins.shipped import SHIPPED

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "sfda_kit" / "plugins" / "shipped_parts.json"
PACKAGES = sorted(
    re.findall(r'^name = "(.*)"', file.read_text(), flags=re.MULTILINE)[0]
    for file in ROOT.glob("plugins/*/pyproject.toml")
)


def declared() -> dict[str, dict[str, list[str]]]:
    """Names and aliases of all parts by distribution and kind."""
    found: dict[str, dict[str, list[str]]] = {package: {} for package in PACKAGES}
    for part in registry().components.values():
        if part.owner in found:
            found[part.owner].setdefault(part.kind, []).extend(filter(None, (part.name, part.alias)))
    return {package: {kind: sorted(names) for kind, names in sorted(kinds.items())} for package, kinds in found.items()}


@pytest.mark.needs_plugin(*PACKAGES)
def test_the_table_is_what_the_distributions_declare() -> None:
    assert json.loads(TABLE.read_text()) == declared(), f"python {Path(__file__).relative_to(ROOT)} writes it anew"


def test_every_package_has_parts() -> None:
    assert sorted(set(SHIPPED.values())) == PACKAGES


if __name__ == "__main__":
    TABLE.write_text(json.dumps(declared(), indent=1) + "\n")
