"""The check of ``reads``, the names of what a part wants to be prepared: a misspelt one would never be."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sfda_kit.errors import PartError, did_you_mean
from sfda_kit.plugins.boundary import component_of


def check_reads(part: Any, known: Collection[str]) -> None:
    """Raise ``PartError`` unless ``part.reads`` is a tuple of names in ``known``."""
    name = component_of(part) or f"part {type(part).__name__!r}"
    reads = part.reads
    if isinstance(reads, str) or not isinstance(reads, Collection):
        raise PartError(f'The {name} has reads = {reads!r}; expected a tuple of names, such as ("{min(known)}",).')
    for one in reads:
        if one not in known:
            raise PartError(f"The {name} reads {one!r}, which does not exist. {did_you_mean(str(one), known)}")
