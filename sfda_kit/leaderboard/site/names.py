"""Names as files and as labels: what a record says is never trusted with either."""

from __future__ import annotations

import hashlib
import re

SLUG = 48
"""Characters of a name that its file keeps for people to read."""
LABEL = 26
"""Characters of a name that fit beside a point of a plot."""


def page_name(name: str) -> str:
    """File name without suffix: what is readable of ``name``, and a hash that keeps names apart.

    Only ``a-z``, ``0-9`` and ``-`` remain, so no name can leave its folder, collide where upper case
    is ignored, or be one that an operating system keeps for itself.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:SLUG].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{readable}-{digest}" if readable else digest


def printable(name: str) -> str:
    """``name`` with U+FFFD for control characters, lone surrogates and marks that turn the reading direction.

    With them a page could not be written, or would not say what it means.
    """
    return name if name.isprintable() else _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", name)


_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]"
)


def label(name: str, length: int = LABEL) -> str:
    """``name`` as one short line of a plot; its end is kept, there variants differ."""
    shown = " ".join(printable(name).split())
    return (
        shown
        if len(shown) <= length
        else f"{shown[: length // 2]}\N{HORIZONTAL ELLIPSIS}{shown[-((length - 1) // 2) :]}"
    )
