"""Labels from the small members of a sample: ``json`` (class, domain, group, role) and ``cls`` (class)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sfda_kit.datasets.list_table import DEFAULT_DOMAIN
from sfda_kit.interfaces.dataset import PARTS

LARGEST = 1 << 20
"""The most bytes of a member with labels; a larger one is refused."""
FIELDS = ("class", "domain", "group", "role")
_ALIASES = {"label": "class"}


class Labels(NamedTuple):
    """``scene_class`` is a name or a number as written; ``group`` and ``role`` are empty where they are not given."""

    scene_class: str
    domain: str
    group: str
    role: str


def parse_labels(ending: str, data: bytes) -> dict[str, str]:
    """Return the fields that ``data`` gives. Raises ``ValueError`` that says what is wrong and what to do."""
    try:
        text = data.decode("utf-8-sig")
        told = json.loads(text) if ending == "json" else {"class": text}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot be read ({_first_line(error)}); write UTF-8 {_FORMS[ending]}") from None
    if not isinstance(told, dict):
        raise ValueError(f"holds {_kind(told)}; write {_FORMS['json']}")
    named = {_ALIASES.get(name, name): value for name, value in told.items()}
    fields = {name: _text(name, named[name]) for name in FIELDS if named.get(name) is not None}
    if fields.get("role") and fields["role"] not in PARTS:
        raise ValueError(f"has the unknown role {fields['role']!r}; write one of {', '.join(PARTS)}, or none")
    return fields


def merged(by_ending: Mapping[str, Mapping[str, str]]) -> Labels | None:
    """Return the labels of one sample, ``json`` before ``cls``; None where neither gives a class."""
    fields = {**by_ending.get("cls", {}), **{name: text for name, text in by_ending.get("json", {}).items() if text}}
    if not fields.get("class"):
        return None
    domain = fields.get("domain") or DEFAULT_DOMAIN
    return Labels(fields["class"], domain, fields.get("group", ""), fields.get("role", ""))


_FORMS = {"json": 'JSON such as {"class": "cat", "domain": "cam"}', "cls": "text such as cat, or a number"}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"has {_kind(value)} as {name}; write a text or a whole number")
    text = str(value).strip()
    if not text.isprintable():
        raise ValueError(f"has characters that do not print in its {name}; write plain text")
    return text


def _kind(value: Any) -> str:
    kinds = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120]
