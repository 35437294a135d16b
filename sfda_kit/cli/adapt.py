"""``sfda-kit adapt``."""

from __future__ import annotations


def adapt() -> None:
    """TODO."""
