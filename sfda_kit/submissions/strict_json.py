"""Parses hostile JSON: no duplicate keys, NaN or control characters; limited depth, size, numbers and texts."""

from __future__ import annotations

import json
import math
from typing import Any

from sfda_kit.results.redaction import ABSOLUTE_PATH
from sfda_kit.submissions.findings import is_unprintable, shown

MAX_DEPTH = 12
MAX_VALUES = 500_000
MAX_TEXT = 4000
MAX_KEY = 200
MAX_DIGITS = 40


class StrictJsonError(ValueError):
    """The text is not JSON that is accepted; the message says why."""


def parse(data: bytes) -> Any:
    """Return the value of ``data``. Raises ``StrictJsonError``."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except StrictJsonError:
        raise
    except UnicodeDecodeError:
        raise StrictJsonError("it is not UTF-8 text") from None
    except RecursionError:
        raise StrictJsonError("it is nested too deeply") from None
    except ValueError as error:
        raise StrictJsonError(f"it is not valid JSON: {shown(error)}") from None
    check_values(value)
    return value


def check_values(value: Any) -> None:
    """Check depth, number of values, and every text. Raises ``StrictJsonError``."""
    pending, count = [(value, 1)], 0
    while pending:
        item, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise StrictJsonError(f"it is nested too deeply: more than {MAX_DEPTH} levels")
        if count > MAX_VALUES:
            raise StrictJsonError(f"it holds more than {MAX_VALUES} values")
        if isinstance(item, str):
            _check_text(item, MAX_TEXT)
        elif isinstance(item, float) and not math.isfinite(item):
            raise StrictJsonError("a number is not finite")
        elif isinstance(item, dict):
            for key in item:
                _check_text(str(key), MAX_KEY)
            pending += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, (list, tuple)):
            pending += [(child, depth + 1) for child in item]


def _check_text(text: str, limit: int) -> None:
    if len(text) > limit:
        raise StrictJsonError(f"a text is longer than {limit} characters: {shown(text, 40)}")
    if not text.isprintable() and any(map(is_unprintable, text)):
        raise StrictJsonError(f"a text holds control characters: {shown(text, 60)}")
    if found := ABSOLUTE_PATH.search(text):
        raise StrictJsonError(f"a text holds an absolute path: {shown(found[0], 60)}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise StrictJsonError("a key is there twice in one object")
    return found


def _constant(text: str) -> float:
    raise StrictJsonError(f"{text} is not a number of JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise StrictJsonError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _number(text: str) -> float:
    if len(text) > MAX_DIGITS or not math.isfinite(found := float(text)):
        raise StrictJsonError(f"a number is too long or too large: {shown(text, 50)}")
    return found
