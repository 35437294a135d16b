"""Where shared stages live on this computer."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user cache: ``SFDA_KIT_CACHE`` if set, else the platform's cache folder."""
    if configured := os.environ.get("SFDA_KIT_CACHE"):
        return Path(configured).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("sfda-kit")
