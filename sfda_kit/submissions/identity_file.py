"""Checks a hostile ``config.yaml``: it is read as plain data without aliases and compared with the record."""

from __future__ import annotations

from typing import Any

from sfda_kit.config.yaml import parse_yaml
from sfda_kit.results.record import Record
from sfda_kit.submissions.strict_json import MAX_DEPTH, check_values

KEYS = {"config", "recipe", "source", "data", "algorithms", "parts", "initial_weights"}


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
    begun = record.source.get("initial_weights") if record.status == "ok" else None
    if "initial_weights" in found and record.status == "ok" and not _repeats(found["initial_weights"], begun):
        raise ValueError("its initial_weights are not those of the record's source model")
    if "data" in found and record.status == "ok" and found["data"] != record.task.get("fingerprint"):
        raise ValueError("its data is not the fingerprint of the record's task")


def _repeats(stated: Any, begun: Any) -> bool:
    """Return whether ``stated`` says of the weights what the card of the source model says."""
    both = isinstance(stated, dict) and isinstance(begun, dict)
    return both and {key: stated.get(key) for key in begun} == begun


def _names_parts(parts: Any) -> bool:
    return isinstance(parts, list) and all(
        isinstance(part, list) and len(part) == 4 and all(isinstance(text, str) for text in part) for part in parts
    )
