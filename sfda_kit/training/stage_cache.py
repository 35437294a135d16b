"""The cache of trained stages by content. Every later run that needs the same stage takes it from here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from sfda_kit.config.digest import digest
from sfda_kit.events import Event, Listener, silent
from sfda_kit.files import explain_write_errors
from sfda_kit.paths import cache_dir


def cached_stage(
    kind: str, identity: dict[str, Any], make: Callable[[Path], None], listener: Listener = silent
) -> Path:
    """Return the folder of the stage that ``identity`` describes. ``make(folder)`` fills it if it is new.

    ``listener`` gets a notice if the stage is already there. ``make`` writes into a working folder that survives a kill
    (its checkpoint continues there); one rename makes it the final folder. While one process trains, others wait.
    """
    final = cache_dir() / "stages" / kind / digest(identity)
    with _locked(final):
        if final.exists():
            listener(Event("notice", kind, {"text": f"{kind} taken from the cache ({final.name})"}))
        else:
            work = final.with_suffix(".partial")
            work.mkdir(parents=True, exist_ok=True)
            make(work)
            with explain_write_errors(final):
                work.rename(final)
        _note_use(final, identity)
    return final


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
