"""``sfda-kit predict``."""

from __future__ import annotations


def predict() -> None:
    """TODO."""
