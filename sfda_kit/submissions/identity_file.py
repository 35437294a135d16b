"""Checks a hostile ``config.yaml``: it is read as plain data without aliases and compared with the record."""

from __future__ import annotations

from typing import Any

from sfda_kit.config.yaml import parse_yaml
from sfda_kit.results.record import Record
from sfda_kit.submissions.strict_json import MAX_DEPTH, check_values

KEYS = {"config", "recipe", "source", "data", "algorithms", "parts"}


def check_config_file(data: bytes, record: Record) -> None:
    """Raise ``ValueError`` unless ``data`` is YAML that repeats the record's configuration, recipe and task."""
    found = parse_yaml(data.decode("utf-8"), aliases=False, max_depth=MAX_DEPTH)
    if not isinstance(found, dict) or not set(found) <= KEYS or len(found) < 2:
        raise ValueError(f"it must hold {', '.join(sorted(KEYS))} and nothing else")
    check_values(found)
    if not _names_parts(found.get("parts", [])):
        raise ValueError("its parts are not a list of kind, owner, name and code, four texts each")
    if found.get("config") != record.config or found.get("recipe", {}) != record.recipe:
        raise ValueError("its configuration or recipe is not that of the record")
    if "data" in found and record.status == "ok" and found["data"] != record.task.get("fingerprint"):
        raise ValueError("its data is not the fingerprint of the record's task")


def _names_parts(parts: Any) -> bool:
    return isinstance(parts, list) and all(
        isinstance(part, list) and len(part) == 4 and all(isinstance(text, str) for text in part) for part in parts
    )
