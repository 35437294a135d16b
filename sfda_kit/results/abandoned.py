"""Run folders that a killed process left before it computed anything."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from sfda_kit.errors import UserError
from sfda_kit.results.store import RunFolder

BEGUN = {"config.yaml", "events.jsonl", ".lock"}
"""The files of a run folder in which nothing was computed yet."""
ABANDONED_S = 3600


def remove_abandoned(runs_dir: Path) -> None:
    """Remove run folders in which a killed process computed nothing: no work, no lock, and untouched for an hour."""
    for folder in runs_dir.glob("*-????????-????????-??????-??????"):
        with suppress(OSError):
            names = {path.name for path in folder.iterdir()}
            files = {name for name in names if not re.fullmatch(r"\.config\.yaml\..*\.tmp", name)}
            is_old = time.time() - folder.stat().st_mtime > ABANDONED_S
            if files <= BEGUN and is_old and not _is_locked(folder):
                shutil.rmtree(folder)


def _is_locked(folder: Path) -> bool:
    try:
        with RunFolder(folder).locked():
            return False
    except UserError:
        return True
