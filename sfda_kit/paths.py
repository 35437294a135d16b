"""The folder of the user cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the user cache: ``SFDA_KIT_CACHE`` if set, else the cache folder of the platform."""
    if configured := os.environ.get("SFDA_KIT_CACHE"):
        return Path(configured).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("sfda-kit")
