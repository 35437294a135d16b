"""Stages are content-addressed: what was trained once serves every later run that asks for the same."""

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
    """The folder of the stage that ``identity`` describes; ``make(folder)`` fills it when it is new.

    ``listener`` is told when nothing had to be made.

    ``make`` writes into a working folder that survives a kill (its checkpoint continues there) and
    becomes the final one in a single rename. A lock lets one process train while others wait.
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
    """For ``sfda-kit cache info``: what the stage is, and by the file's time when it was last used."""
    with suppress(OSError):  # a cache that may only be read serves as well
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
