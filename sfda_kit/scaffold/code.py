"""Plain values as Python code, laid out as formatters leave it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

INDENT = "    "


def code(value: Any, depth: int = 0) -> str:
    """Return ``value`` (what JSON can hold) as code: a mapping or a list has a line for each entry.

    ``depth``: how far the line is indented on which the code begins.
    """
    if isinstance(value, str):
        return repr(value) if '"' in value else json.dumps(value, ensure_ascii=False)  # as few escapes as can be
    if isinstance(value, Mapping):
        return _block("{}", [f"{code(str(key))}: {code(one, depth + 1)}" for key, one in value.items()], depth)
    if isinstance(value, (list, tuple)):
        return _block("[]", [code(one, depth + 1) for one in value], depth)
    return repr(value)


def _block(brackets: str, entries: list[str], depth: int) -> str:
    if not entries:
        return brackets
    lines = "".join(f"{INDENT * (depth + 1)}{entry},\n" for entry in entries)
    return f"{brackets[0]}\n{lines}{INDENT * depth}{brackets[1]}"
