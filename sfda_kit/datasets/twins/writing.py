"""Writing a folder that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sfda_kit.datasets.folder_dataset import SYNTHETIC_MARK
from sfda_kit.errors import UserError

Progress = Callable[[int, int], None]
"""It is called with the number of scenes written and of all scenes."""


def write_whole(out: Path, write: Callable[[Path], int]) -> int:
    """Let ``write`` fill a folder beside ``out``, then move it there; return what ``write`` returns.

    Raises ``UserError`` when ``out`` is not an empty folder or cannot be written.
    """
    out = out.expanduser().absolute()
    _refuse_taken(out)
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        count = write(work)
        work.chmod(0o755)
        work.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Choose another folder.") from None
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return count


def mark(root: Path, layout: str) -> None:
    """Write a note that no picture here is real."""
    text = f"Rendered by sfda-kit in the layout of {layout}. No picture here is real.\n"
    (root / SYNTHETIC_MARK).write_text(text, encoding="utf-8")


def _refuse_taken(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is not an empty folder. Nothing was written; name a new folder or empty this one.")
