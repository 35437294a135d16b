"""``sfda-kit export``."""

from __future__ import annotations


def export() -> None:
    """TODO."""
