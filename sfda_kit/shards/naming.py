"""Names of members in the WebDataset convention: a key up to the first dot of the base name, then the ending."""

from __future__ import annotations

import re
from typing import NamedTuple

from sfda_kit.data.images import IMAGE_SUFFIXES
from sfda_kit.plugins.modalities import is_modality

LABELS = ("json", "cls")
"""Endings of members that give the class; ``json`` also gives domain, group and role."""
UNNAMED = ""
"""The modality of an image whose ending names none, such as ``000123.jpg``."""
_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")
_META = re.compile(r"__[^/]*__($|/)")


class Name(NamedTuple):
    """Key and ending: ``rooms/000123`` and ``rgb.jpg``. The ending is in lower case, as WebDataset compares it."""

    key: str
    ending: str

    @property
    def modality(self) -> str | None:
        """The modality; ``UNNAMED`` where the ending is only a suffix, None where the member is no usable image."""
        kind, _, suffix = self.ending.rpartition(".")
        if f".{suffix}" not in IMAGE_SUFFIXES or (kind and not is_modality(kind)):
            return None
        return kind or UNNAMED


def parse_name(member: str) -> Name | None:
    """Return key and ending; None for what WebDataset ignores: no dot, hidden files, ``__meta__``."""
    found = _NAME.fullmatch(member)
    if found is None or _META.match(member):
        return None
    return Name(found[1], found[2].lower())


def key_of(name: str) -> str:
    """Return a sample's name as a key, without dots in its last part: a dot would end the key there."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{base.replace('.', '_') or '_'}"
