"""Listing of a user's folders in natural order, without hidden entries and without following loops of links."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sfda_kit.errors import DataError


@dataclass(frozen=True)
class Folder:
    """A visited folder: its path and the names of the folders and files in it."""

    path: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]


def walk(root: Path) -> Iterator[tuple[Folder, list[str]]]:
    """Yield each real folder under ``root`` once, with the list of subfolders to enter; the caller may clear that list.

    Links are followed, except to a visited folder or to a parent of ``root``, which would lead to the whole disk.
    """
    waiting, seen = [root], {_identity(path) for path in root.resolve().parents}
    while waiting:
        path = waiting.pop()
        identity = _identity(path)
        if identity in seen:
            continue
        seen.add(identity)
        folder = list_folder(path)
        enter = list(folder.folders)
        yield folder, enter
        waiting += [path / name for name in reversed(enter)]


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def find_holder(root: Path, names: Iterable[str], deepest: int) -> Path | None:
    """Return the first folder, at most ``deepest`` below ``root``, that holds a folder of ``names`` (in any case)."""
    wanted = {name.lower() for name in names}
    for folder, enter in walk(root):
        if wanted & {name.lower() for name in folder.folders}:
            return folder.path
        if len(folder.path.relative_to(root).parts) >= deepest:
            enter.clear()
    return None


def list_folder(path: Path) -> Folder:
    """List what is directly in ``path``, in natural order. Raises ``DataError`` where it cannot be listed."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    _refuse_undecodable(path, entry.name)
                    (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise DataError(f"The folder {path} cannot be listed ({error.strerror}). Check its path and rights.") from None
    return Folder(path, tuple(sorted(folders, key=natural_key)), tuple(sorted(files, key=natural_key)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself counts as a file, so opening it gives the message.
        return False


def _refuse_undecodable(path: Path, name: str) -> None:
    """Raise ``DataError`` for a name that is not UTF-8, as records and tables are."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{path} holds a name that is not UTF-8: {name!a}. Rename it.") from None


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts ``frame10`` after ``frame9``. Equal numbers are sorted by their text."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def require_folder(path: Path | None, option: str) -> Path:
    """Return ``path`` as an absolute folder. Raises ``DataError`` naming ``option`` and what is there instead."""
    if path is None:
        raise DataError(f"No folder was given. Say where the data lies with {option} DIR.")
    path = path.expanduser().absolute()
    if path.is_dir():
        return path
    nearest_parent = next((parent for parent in path.parents if parent.is_dir()), path)
    found = "a file" if path.is_file() else f"nothing (the nearest existing folder is {nearest_parent})"
    raise DataError(f"{option} {path}: expected a folder, found {found}. Check the path.")
