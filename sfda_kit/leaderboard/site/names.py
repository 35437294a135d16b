"""Safe file names and labels from the names in records, which are never trusted."""

from __future__ import annotations

import hashlib
import re

SLUG = 48
"""The most characters of a name that its file name keeps for readers."""
LABEL = 26
"""The most characters of a name that fit beside a point of a plot."""


def page_name(name: str) -> str:
    """Return a file name, without suffix, of ``a-z``, ``0-9`` and ``-``: the readable part of ``name``, and a hash.
    Such a name cannot leave its folder, collide where upper case is ignored, or be reserved by an operating system."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:SLUG].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{readable}-{digest}" if readable else digest


def printable(name: str) -> str:
    """Return ``name`` with U+FFFD for control characters, lone surrogates and marks that turn the reading direction.
    A page with them could not be written, or would mislead its reader."""
    return name if name.isprintable() else _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", name)


_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]"
)


def label(name: str, length: int = LABEL) -> str:
    """Return ``name`` as one short line for a plot; its end is kept, because variants differ there."""
    shown = " ".join(printable(name).split())
    return (
        shown
        if len(shown) <= length
        else f"{shown[: length // 2]}\N{HORIZONTAL ELLIPSIS}{shown[-((length - 1) // 2) :]}"
    )
