"""Indices of shards, made once and kept in the cache until a shard changes.

The name of an entry is a hash of the shard's path, size and time of writing. A header takes about 20 microseconds to
read. Where there are many, child processes share the work: each writes the indices that it makes to the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sfda_kit.checksums import read_sealed, write_sealed
from sfda_kit.errors import UserError
from sfda_kit.paths import cache_dir
from sfda_kit.plugins.modalities import modality_names
from sfda_kit.shards.index_columns import from_columns, to_columns
from sfda_kit.shards.shard_index import ShardIndex, scan_shard

VERSION = 2
"""Raised whenever the same shard would get another index, or the file of an entry changes."""
FOLDER = "shards"
_PATIENCE = 2.0
"""Seconds of work left above which other processes start: less is done before they have started."""

Progress = Callable[[int, int], None]
"""It is called with the number of shards done and of all shards."""


def shard_index(path: Path) -> ShardIndex:
    """Return the index of one shard, from the cache if it is there. A shard that cannot be opened counts as damaged."""
    try:
        entry = _entry(path)
        kept = _kept(entry)
        if kept is not None:
            return kept
        index = scan_shard(path)
        if _entry(path) != entry:
            index.damage.append("changed while it was read. Start again when it is complete.")
            return index
    except OSError as error:
        return ShardIndex(damage=[f"cannot be opened ({error.strerror}). Put the file there, or mend its rights."])
    _keep(entry, path, index)
    return index


def prepare(shards: Sequence[Path], progress: Progress | None = None, workers: int | None = None) -> None:
    """Put the indices of ``shards`` into the cache, in several processes where that is quicker."""
    waiting = [path for path in shards if not _is_kept(path)]
    tell = progress or _silent
    start = time.monotonic()
    for done, path in enumerate(waiting):
        tell(len(shards) - len(waiting) + done, len(shards))
        left = len(waiting) - done
        count = min(os.cpu_count() or 1 if workers is None else workers, left)
        if done and count > 1 and (time.monotonic() - start) / done * left > _PATIENCE:
            _in_children(waiting[done:], count, lambda more: tell(len(shards) - more, len(shards)))
            break
        shard_index(path)
    tell(len(shards), len(shards))


def _in_children(shards: Sequence[Path], count: int, left: Callable[[int], None]) -> None:
    """Share ``shards`` among child processes. An index that a child could not make is made when it is asked for."""
    children = [_child(shards[number::count]) for number in range(count)]
    try:
        while any(child.poll() is None for child in children):
            time.sleep(0.1)
            left(sum(not _is_kept(path) for path in shards))
    finally:
        for child in children:
            child.kill()
            child.wait()


def _child(shards: Sequence[Path]) -> subprocess.Popen[bytes]:
    """Start a plain child, which unlike multiprocessing works from any script, notebook or thread."""
    search = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    child = subprocess.Popen(
        [sys.executable, "-m", "sfda_kit.shards.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search},
    )
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin as pipe:
        pipe.write(json.dumps([str(path) for path in shards]).encode())
    return child


def _is_kept(path: Path) -> bool:
    with suppress(OSError):
        return _entry(path).is_file()
    return False


def _entry(path: Path) -> Path:
    status = path.stat()
    # Which members are images follows from the installed modalities.
    state = repr((VERSION, modality_names(), str(path.resolve()), status.st_size, status.st_mtime_ns))
    return cache_dir() / FOLDER / f"{hashlib.sha256(state.encode(errors='surrogateescape')).hexdigest()[:32]}.json"


def _keep(entry: Path, path: Path, index: ShardIndex) -> None:
    shard = os.fsencode(path).decode(errors="backslashreplace")
    with suppress(UserError):  # a cache that cannot be written costs only time
        write_sealed(entry, json.dumps({"shard": shard, "index": to_columns(index)}).encode())


def _kept(entry: Path) -> ShardIndex | None:
    """Return the index in the cache, None where there is no whole entry."""
    with suppress(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return from_columns(json.loads(read_sealed(entry))["index"])
    return None


def _silent(done: int, total: int) -> None:
    del done, total
