"""The cache of trained stages by content. Every later run that needs the same stage takes it from here."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from sfda_kit import processes
from sfda_kit.checksums import CHECKSUMS, damaged_files, set_aside, write_checksums
from sfda_kit.config.digest import digest
from sfda_kit.errors import UserError
from sfda_kit.events import Event, Listener, silent
from sfda_kit.files import explain_write_errors, remove_unfinished_writes
from sfda_kit.paths import cache_dir

_LOGGER = logging.getLogger(__name__)


def cached_stage(
    kind: str, identity: dict[str, Any], make: Callable[[Path], None], listener: Listener = silent
) -> Path:
    """Return the folder of the stage that ``identity`` describes. ``make(folder)`` fills it if it is new or damaged.

    ``listener`` gets a notice if the stage is already there, and one if it is damaged and set aside. ``make`` writes
    into a working folder that survives a kill (its checkpoint continues there); one rename makes it the final folder.
    While one process trains, others wait. A stage that is whole needs no lock, so a read-only cache serves it.
    """
    final = _folder(kind, identity)
    with ExitStack() as held:
        found = processes.by_first(lambda: _found(kind, final, held))
        if not found:
            _make(kind, final, make, listener)
    if found:
        listener(Event("notice", kind, {"text": f"{kind} taken from the cache ({final.name})"}))
    if processes.is_first():
        _note_use(final, identity)
    elif not final.exists():
        raise UserError(
            f"Process {processes.group().rank} does not find {final}, which process 0 has. The processes of a run "
            "share one cache: set SFDA_KIT_CACHE to a folder that all computers see."
        )
    return final


def _found(kind: str, final: Path, held: ExitStack) -> bool:
    """Return whether the stage is there. If not, ``held`` holds its lock from now on."""
    found = _is_whole(final)
    _LOGGER.debug("%s is %s: %s", kind, "cached" if found else "not cached", final)
    if not found:
        held.enter_context(_locked(final))
        found = _is_whole(final)  # another process may have made it meanwhile
    return found


def is_cached(kind: str, identity: dict[str, Any]) -> bool:
    """Return whether the stage that ``identity`` describes is in the cache, whole."""
    return _is_whole(_folder(kind, identity))


def _folder(kind: str, identity: dict[str, Any]) -> Path:
    return cache_dir() / "stages" / kind / digest(identity)


def _is_whole(final: Path) -> bool:
    return final.exists() and not damaged_files(final)


def _make(kind: str, final: Path, make: Callable[[Path], None], listener: Listener) -> None:
    work = final.with_suffix(".partial")
    processes.by_first(lambda: _begin(kind, final, work, listener))
    make(work)
    processes.by_first(lambda: _finish(final, work))


def _begin(kind: str, final: Path, work: Path, listener: Listener) -> None:
    if final.exists():
        text = f"{', '.join(damaged_files(final))} of the cached {kind} {final} is damaged"
        text += f": the {kind} is set aside as {set_aside(final).name}, and made again"
        listener(Event("notice", kind, {"text": text}))
    with explain_write_errors(final):
        work.mkdir(parents=True, exist_ok=True)
        remove_unfinished_writes(work)


def _finish(final: Path, work: Path) -> None:
    with explain_write_errors(final):
        write_checksums(work, _files(work))
        work.rename(final)


def _files(folder: Path) -> list[str]:
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [name for name in found if name != CHECKSUMS]


def _note_use(final: Path, identity: dict[str, Any]) -> None:
    """Write a description of the stage for ``sfda-kit cache info``. The time of the file says when it was last used."""
    with suppress(OSError):  # a read-only cache is enough for reading the stage
        final.with_suffix(".json").write_text(json.dumps(identity, default=str), encoding="utf-8")


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    with explain_write_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(final.with_suffix(".lock")))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
