"""The parts of our own plugin packages, so that an error can say which package to install."""

from __future__ import annotations

import json
from importlib.resources import files

FILE = files("sfda_kit.plugins") / "shipped_parts.json"
"""Made from the distributions by ``tests/plugins/test_shipped_parts.py``, which holds it up to date."""

SHIPPED: dict[tuple[str, str], str] = {
    (kind, name): package
    for package, kinds in json.loads(FILE.read_text(encoding="utf-8")).items()
    for kind, names in kinds.items()
    for name in names
}
"""The package by kind and name (or alias) of the part."""
