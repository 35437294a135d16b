"""The folder of a site, which is written beside its final place and moved there when it is complete."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sfda_kit.errors import UserError
from sfda_kit.files import explain_write_errors

MARK = "sfda-kit-board.json"
"""File that marks a folder as a site of this package, so that a newer one may replace it."""
MADE_WITH = ("sfda-kit", "jinja2", "matplotlib", "numpy", "pillow", "scikit-posthocs", "scipy")
"""Packages on which the bytes of the site depend."""
ADVICE = "with --out."


@contextmanager
def replaced(out: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of ``out`` when the block ends without error.
    Raises ``UserError`` where ``out`` is neither new nor empty nor an older board, or cannot be written."""
    out = out.absolute()
    _check(out)
    with explain_write_errors(out, ADVICE):
        out.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    try:
        with explain_write_errors(out, ADVICE):
            work = room / "new"
            work.mkdir()
            mark = {"format": 1, "made_with": made_with()}
            (work / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
            yield work
            if out.exists():
                out.replace(room / "old")
            work.replace(out)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def made_with() -> dict[str, str]:
    """Return the versions of ``MADE_WITH``; with the same versions the same records give the same bytes."""
    return {name: version(name) for name in MADE_WITH}


def _check(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"--out {out} is not a folder. Nothing was written; name a new folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UserError(
            f"--out {out} holds something else than a leaderboard (it has no {MARK}). Nothing was written; "
            "name a new folder, an empty one, or an older board to replace."
        )
