"""What all writers of pictures that are not real share: the mark, and how they tell their progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sfda_kit.datasets.folder_dataset import SYNTHETIC_MARK

Progress = Callable[[int, int], None]
"""It is called with the number of scenes written and of all scenes."""


def mark(root: Path, layout: str) -> None:
    """Write a note that no picture here is real."""
    text = f"Rendered by sfda-kit in the layout of {layout}. No picture here is real.\n"
    (root / SYNTHETIC_MARK).write_text(text, encoding="utf-8")
