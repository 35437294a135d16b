"""Finding the shards of a set: tars below the data root whose path fits a pattern with braces, ``*`` and ``?``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import bracex

from sfda_kit.data.walk import list_folder, natural_key, walk
from sfda_kit.errors import DataError, UserError
from sfda_kit.shards.shard_index import UNPACK

ANY = "*.tar"
_COMPRESSED = re.compile(r"\.(?:tar\.(?:gz|bz2|xz|zst|lz4|z)|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_MOST = 1_000_000
"""The most shards that braces may name."""


class Found(NamedTuple):
    """``shards``: paths relative to the root, in natural order. ``problems``: sentences that begin with a path."""

    shards: list[str]
    problems: list[str]


def find_shards(root: Path, pattern: str = ANY) -> Found:
    """Return shards below ``root`` that fit ``pattern``; ``*`` matches ``/`` too. Raises ``DataError`` if none fits."""
    names = set(_expanded(pattern))
    literal = {name for name in names if not set(name) & set("*?[")}
    wild = names - literal
    shards: list[str] = []
    packed: list[str] = []
    for name in _files(root):
        plain = _COMPRESSED.sub(".tar", name)
        if plain in literal or any(fnmatchcase(plain, one) for one in wild):
            (packed if plain != name else shards).append(name)
    problems = [f"{root / name}: is compressed. {UNPACK}" for name in packed]
    # A compressed shard is reported once, as compressed.
    lacking = sorted(literal - set(shards) - {_COMPRESSED.sub(".tar", name) for name in packed}, key=natural_key)
    problems += [f"{root / name}: is named by dataset.options.shards and not there. Copy it again." for name in lacking]
    if not shards:
        raise DataError("\n".join([_none(root, pattern), *problems[:20]]))
    return Found(sorted(shards, key=natural_key), problems)


def _expanded(pattern: str) -> Iterable[str]:
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or not pattern:
        raise UserError(
            f"dataset.options.shards is {pattern!r}; expected a path below the data root, such as "
            "train-{000..099}.tar or 'front/*.tar'."
        )
    try:
        return bracex.expand(pattern, limit=_MOST)
    except bracex.ExpansionLimitException:
        raise UserError(
            f"dataset.options.shards {pattern!r} names more than {_MOST:,} shards. Use * instead."
        ) from None


def _files(root: Path) -> Iterable[str]:
    for folder, _ in walk(root):
        base = folder.path.relative_to(root).as_posix()
        for name in folder.files:
            yield name if base == "." else f"{base}/{name}"


def _none(root: Path, pattern: str) -> str:
    here = list_folder(root)
    found = ", ".join((*here.files, *here.folders)[:8]) or "nothing"
    return f"{root} holds no shard {pattern}; found {found}. Point --data-root to the folder of the .tar files."
