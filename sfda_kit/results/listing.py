"""Search for the records below a folder, without opening them."""

from __future__ import annotations

import os
from pathlib import Path

from sfda_kit.errors import DataError

RECORD = "record.json"


def require_folder(folder: Path) -> None:
    """Raise ``DataError`` where there is no ``folder`` of runs."""
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}. Make a run first (`sfda-kit run`), or name the folder that holds your runs."
        )


def run_folders(folder: Path) -> list[Path]:
    """Return every folder with a record in or below ``folder``, sorted, without searching inside run folders.
    A link counts only where it leads to a run folder itself. Raises ``DataError`` where ``folder`` does not exist."""
    require_folder(folder)
    found = [str(folder)] if (folder / RECORD).exists() else _below(str(folder))
    return [Path(path) for path in sorted(found)]


def _below(folder: str) -> list[str]:
    # A test for the record is much cheaper than a listing of each run folder.
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if os.path.exists(f"{entry.path}/{RECORD}"):  # noqa: PTH110 (a Path for each entry costs more)
                found.append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                found += _below(entry.path)
    return found
