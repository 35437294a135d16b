"""The contents of the user cache and their removal: decoded images, trained stages, rendered rooms, shard indices."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from sfda_kit.checksums import ASIDE
from sfda_kit.data.cache_limit import (
    PIXELS,
    entry_folders,
    entry_in_use,
    is_locked,
    last_use,
    remove_entry,
    size_of,
)
from sfda_kit.data.shared_map import is_used, remove_unused
from sfda_kit.paths import cache_dir

Kind = Literal["decoded", "stages", "rooms", "shards"]
KINDS: tuple[Kind, ...] = ("decoded", "stages", "rooms", "shards")
UNFINISHED = ".partial"


@dataclass(frozen=True)
class CacheEntry:
    """A cache entry can be cleared: ``size`` in bytes, ``last_used`` in seconds since 1970, ``what`` describes it.

    ``in_use``: a process maps the entry or makes it. Stages are read into memory, so they are in use only when made.
    """

    kind: Kind
    path: Path
    what: str
    size: int
    last_used: float
    in_use: bool


def entries(kinds: Collection[Kind] = KINDS) -> list[CacheEntry]:
    """Return all entries of these kinds, the most recently used first."""
    listed = {"decoded": _decoded, "stages": _stages, "rooms": _rooms, "shards": _shards}
    found = [entry for kind in KINDS if kind in kinds for entry in listed[kind](cache_dir() / kind)]
    return sorted(found, key=lambda entry: -entry.last_used)


def clear(found: Iterable[CacheEntry]) -> tuple[list[CacheEntry], list[CacheEntry]]:
    """Remove entries. Returns those removed, and those that stay because they are in use."""
    remove = {"decoded": remove_entry, "stages": _remove_stage, "rooms": _remove_rooms, "shards": _remove_indices}
    removed: list[CacheEntry] = []
    kept: list[CacheEntry] = []
    for entry in found:
        (removed if remove[entry.kind](entry.path) else kept).append(entry)
    return removed, kept


def _decoded(root: Path) -> Iterator[CacheEntry]:
    for folder in entry_folders(root):
        about = _read(folder / "entry.json")
        what = "unfinished" if not (folder / PIXELS).exists() else "made by an earlier version"
        if (folder / "bad.json").exists():
            what = "list of files that do not decode"
        elif about:
            what = f"{about.get('images')} x {about.get('modality')} at {about.get('size')} px of {about.get('root')}"
        yield CacheEntry("decoded", folder, what, size_of(folder), last_use(folder), entry_in_use(folder))


def _stages(root: Path) -> Iterator[CacheEntry]:
    for folder in (path for kind in entry_folders(root) for path in entry_folders(kind)):
        about = folder.with_suffix(".json")
        used = last_use(folder)
        with suppress(OSError):
            used = max(used, about.stat().st_mtime)
        what = f"{folder.parent.name}{_stage_words(_read(about))}"
        if folder.suffix == UNFINISHED:
            what += ", unfinished: a run with --resume continues it"
        elif folder.suffix == ASIDE:
            what += ", damaged and set aside"
        yield CacheEntry("stages", folder, what, size_of(folder), used, is_locked(folder.with_suffix(".lock")))


def _stage_words(identity: dict[str, Any]) -> str:
    """Return the parts of the identity of a stage by which a person recognises it."""
    model = identity.get("model")
    parts = [
        identity.get("source"),
        " ".join(map(str, identity["bridge"][2:3])) if isinstance(identity.get("bridge"), list) else None,
        model.get("backbone") if isinstance(model, dict) else None,
        f"{len(identity['classes'])} classes" if isinstance(identity.get("classes"), list) else None,
        f"seed {identity['seed']}" if "seed" in identity else None,
    ]
    words = ", ".join(str(part) for part in parts if part)
    return f": {words}" if words else ""


def _rooms(root: Path) -> Iterator[CacheEntry]:
    for folder in entry_folders(root):
        options = " ".join(f"{name}={value}" for name, value in _read(folder / "options.json").items())
        parts = sorted(folder.glob("*.npy"))
        domains = ", ".join(sorted({path.stem.split("-")[0] for path in parts}))
        what = f"{len(parts)} parts by {domains or 'no sensor'}" + (f" ({options})" if options else "")
        in_use = any(is_used(path) for path in parts)
        yield CacheEntry("rooms", folder, what, size_of(folder), last_use(folder), in_use)


def _shards(root: Path) -> Iterator[CacheEntry]:
    """Yield all indices as one entry, because each is small and is read whole into memory."""
    if count := sum(1 for _ in root.glob("*.json")):
        yield CacheEntry("shards", root, f"places of images; shards: {count}", size_of(root), last_use(root), False)


def _remove_indices(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _remove_stage(folder: Path) -> bool:
    """Remove a stage. It is renamed first, so that no process finds half a stage."""
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    try:
        leaving = folder.with_name(f".leaving-{folder.name}")
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
        if folder.suffix != ASIDE:
            folder.with_suffix(".json").unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        lock.release()
    return True


def _remove_rooms(folder: Path) -> bool:
    """Remove the parts one by one, each under its lock, and the folder when no part is left."""
    stays = False
    for part in sorted(folder.glob("*.npy")):
        lock = FileLock(part.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            stays = True
            continue
        stays = not remove_unused(part) or stays
        lock.release()
    if not stays:
        shutil.rmtree(folder, ignore_errors=True)
    return not stays


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
