"""Keys of the configuration that have another name now. The old ones work on, with a notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {"dataset": {"depth_unit": "unit"}}
"""Section -> old key -> new key."""


def with_present_names(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return ``data`` with new keys in place of old ones, and a sentence for each; one without a value is dropped."""
    renamed, told = dict(data), []
    for section, keys in RENAMED.items():
        values = renamed.get(section)
        if not isinstance(values, Mapping):
            continue
        found = dict(values)
        for old, new in keys.items():
            value = found.pop(old, None)
            if value is not None:
                found.setdefault(new, value)
                told.append(f"{section}.{old} is called {section}.{new} now; the old name will be removed")
        renamed[section] = found
    return renamed, told
