"""The manifest: size and hash of each file at an earlier time, kept outside the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfda_kit import __version__
from sfda_kit.errors import DataError
from sfda_kit.files import atomic, read_text
from sfda_kit.paths import cache_dir
from sfda_kit.verify.file_checks import FileFacts
from sfda_kit.verify.findings import Finding

VERSION = 1
MAX_BYTES = 1_000_000_000
_ADVICE = "Name another file with --manifest."


@dataclass(frozen=True)
class FileManifest:
    """``files``: path below the root -> size in bytes and SHA-256. ``labels``: the set's fingerprint.

    For a set that is read row by row, names of images take the place of paths (``rows.look_at_rows``).
    """

    files: dict[str, tuple[int, str]]
    labels: str


def default_path(dataset: str, root: Path | None) -> Path:
    """Return a path in the user's cache: data may be read-only, and users would wonder about a file among images."""
    where = str(root.resolve()) if root else ""
    place = hashlib.sha256(where.encode(errors="surrogateescape")).hexdigest()[:16]
    return cache_dir() / "manifests" / f"{dataset}-{place}.json"


def read_manifest(path: Path) -> FileManifest | None:
    """Return the manifest, None where there is none. Raises ``DataError`` when the file is no manifest."""
    try:
        data: Any = json.loads(read_text(path, MAX_BYTES))
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}")
        files = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in data["files"].items()}
        return FileManifest(files, str(data["labels"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"The manifest {path} cannot be read ({error}). Remove it, or name another file with --manifest."
        ) from None


def write_manifest(path: Path, dataset: str, root: Path | None, facts: Collection[FileFacts], labels: str) -> int:
    """Write the facts of all usable files; return how many. Raises ``UserError`` when they cannot be written."""
    files = {
        _text(one.path): {"bytes": one.size, "sha256": one.sha256}
        for one in sorted(facts, key=lambda one: one.path)
        if one.usable and one.sha256
    }
    about = {"version": VERSION, "dataset": dataset, "root": _text(str(root or "")), "sfda-kit": __version__}
    with atomic(path, _ADVICE) as work:
        work.write_text(json.dumps({**about, "labels": labels, "files": files}, indent=1) + "\n", encoding="utf-8")
    return len(files)


def compare(
    manifest: FileManifest, is_there: Callable[[str], bool], facts: Collection[FileFacts], labels: str
) -> Iterator[Finding]:
    """Yield what has changed; ``is_there`` says whether a path exists. Without a hash only the size is compared.

    Files that exist but do not belong to this task (another depth, another modality) are passed over.
    """
    now = {_text(one.path): one for one in facts}
    for path, (size, sha256) in manifest.files.items():
        one = now.get(path)
        if one is None:
            if not is_there(path):
                yield Finding("vanished", path, "is in the manifest and no longer there")
        elif one.usable and one.size != size:
            yield Finding("changed", path, f"has {one.size} bytes, and had {size}")
        elif one.usable and one.sha256 and one.sha256 != sha256:
            yield Finding("changed", path, "has other bytes than it had")
    for path in sorted(set(now) - set(manifest.files)):
        if now[path].usable:
            yield Finding("added", path, "is not in the manifest")
    if labels != manifest.labels and set(now) == set(manifest.files):
        yield Finding("labels-changed", ".", "classes, groups, parts or options are not those of the manifest")


def _text(path: str) -> str:
    return path.encode(errors="backslashreplace").decode()
