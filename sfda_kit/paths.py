"""The folders that the toolkit uses on this computer."""

from __future__ import annotations

import os
from pathlib import Path

SCRATCH_VARIABLE = "SFDA_KIT_SCRATCH"


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
