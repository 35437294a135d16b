"""Reading of settings in YAML: whole files and the values of ``--set``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sfda_kit.config.merging import merge_settings
from sfda_kit.errors import UserError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping from ``path``. Raises ``UserError`` if it is missing, broken or not a mapping."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if data is not None and not isinstance(data, dict):
        raise UserError(f"{path} must hold a mapping of keys to values, got {type(data).__name__}.")
    return data or {}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn ``["adapt.lr=0.1"]`` into ``{"adapt": {"lr": 0.1}}``. Values are YAML. Raises ``UserError`` if invalid."""
    data: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise UserError(f"--set {text!r}: expected KEY=VALUE, for example --set adapt.lr=0.001")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {text!r}: the value is not valid YAML: {error}") from None
        for key in reversed(path.strip().split(".")):
            nested = {key: nested}
        data = merge_settings(data, nested)
    return data
