"""The version of the interface between the core and its plugins, and the check of what a plugin asks for."""

from __future__ import annotations

import re
from typing import Any

INTERFACE_VERSION = "1.0"
"""``major.minor`` of what plugins build on. A higher minor adds to it; a higher major may break plugins."""

ATTRIBUTE = "SFDA_KIT_INTERFACE"
"""Where the module of a plugin says which version it was written for; a plugin need not say it."""


def refusal(module: Any, owner: str) -> tuple[str, str] | None:
    """What is wrong with the version that ``module`` of the package ``owner`` asks for, and the remedy.

    ``None`` where it asks for none, or for one that this core has: the same major, and no later minor.
    """
    asked = getattr(module, ATTRIBUTE, None)
    if asked is None:
        return None
    if not (isinstance(asked, str) and re.fullmatch(r"[0-9]+\.[0-9]+", asked)):
        error = f"its {ATTRIBUTE} is {asked!r}; expected major.minor as text, such as {INTERFACE_VERSION!r}"
        return error, f"pip install --upgrade {owner}, or pip uninstall {owner}"
    wanted, here = _numbers(asked), _numbers(INTERFACE_VERSION)
    if wanted[0] == here[0] and wanted[1] <= here[1]:
        return None
    error = f"it needs version {asked} of the plugin interface, and this sfda-kit has version {INTERFACE_VERSION}"
    outdated, other = ("sfda-kit", owner) if wanted > here else (owner, "sfda-kit")
    return error, f"pip install --upgrade {outdated}, or install another version of {other}"


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
