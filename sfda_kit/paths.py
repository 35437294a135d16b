"""The folders that the toolkit uses on this computer."""

from __future__ import annotations

import os
import re
from pathlib import Path

SCRATCH_VARIABLE = "SFDA_KIT_SCRATCH"
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def expanded(path: str) -> str | None:
    """Return ``path`` with the values of its environment variables; None where one is not set, or empty."""
    filled = {name for name, value in os.environ.items() if value}
    named = {braced or plain for braced, plain in _VARIABLE.findall(path)}
    return os.path.expandvars(path) if named <= filled else None


def cache_dir() -> Path:
    """Return the user cache: ``SFDA_KIT_CACHE`` if set, else the cache folder of the platform."""
    if configured := os.environ.get("SFDA_KIT_CACHE"):
        return Path(configured).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("sfda-kit")


def scratch_dir() -> Path:
    """Return the folder of arrays that lie in files while a run works: ``SFDA_KIT_SCRATCH``, else one in the cache."""
    configured = os.environ.get(SCRATCH_VARIABLE)
    return Path(configured).expanduser().absolute() if configured else cache_dir() / "scratch"
