"""The check of the versions of sfda-kit that a plugin's distribution requires; pip warns of them, and installs."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sfda_kit import __version__

CORE = "sfda-kit"


def requirement_refusal(requirements: Iterable[str], owner: str) -> tuple[str, str] | None:
    """Return an error and a remedy if ``requirements`` of ``owner`` exclude this version of sfda-kit, else None."""
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if (
            applies
            and canonicalize_name(wanted.name) == CORE
            and not wanted.specifier.contains(__version__, prereleases=True)
        ):
            error = f"it requires {CORE}{wanted.specifier}, and this is {CORE} {__version__}"
            return error, f"pip install '{CORE}{wanted.specifier}', or install another version of {owner}"
    return None
