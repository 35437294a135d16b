"""The version of the interface between the core and its plugins, and the check of the version that a plugin needs."""

from __future__ import annotations

import re
from typing import Any

from sfda_kit.plugins.plugin import DeclarationError

INTERFACE_VERSION = "1.3"
"""The version ``major.minor`` of the plugin interface. A higher minor only adds; a higher major may break plugins."""

ATTRIBUTE = "SFDA_KIT_INTERFACE"
"""The optional attribute with which the module of a plugin states the version that it was written for."""


def refusal(module: Any, owner: str) -> tuple[str, str] | None:
    """Return an error and a remedy if this core does not have the version that ``module`` of ``owner`` needs.

    Returns ``None`` where it states no version, or one with the same major and no later minor. Raises
    ``DeclarationError`` where it states something else than a version.
    """
    asked = getattr(module, ATTRIBUTE, None)
    if asked is None:
        return None
    if not (isinstance(asked, str) and re.fullmatch(r"[0-9]+\.[0-9]+", asked)):
        raise DeclarationError(
            f"its {ATTRIBUTE} is {asked!r}; expected major.minor as text, such as {INTERFACE_VERSION!r}"
        )
    wanted, here = _numbers(asked), _numbers(INTERFACE_VERSION)
    if wanted[0] == here[0] and wanted[1] <= here[1]:
        return None
    error = f"it needs version {asked} of the plugin interface, and this sfda-kit has version {INTERFACE_VERSION}"
    outdated, other = ("sfda-kit", owner) if wanted > here else (owner, "sfda-kit")
    return error, f"pip install --upgrade {outdated}, or install another version of {other}"


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
