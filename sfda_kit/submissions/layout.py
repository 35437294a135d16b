"""The layout of an archive of runs: names, limits and manifest."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

FORMAT = 1
MANIFEST = "manifest.json"
RECORD, HISTORY, CONFIG, PREDICTIONS = "record.json", "history.json", "config.yaml", "predictions.parquet"
TEXTS = (RECORD, HISTORY, CONFIG)

KIB, MIB = 2**10, 2**20
MAX_ARCHIVE = 64 * MIB
MAX_TOTAL = 256 * MIB
"""Bytes of all files, unpacked."""
MAX_ENTRIES, MAX_RUNS = 2000, 300
MAX_RATIO = 150
"""Unpacked over packed size of a file above 64 KiB; deflate reaches 1032, real histories about 30."""
MAX_SIZE = {
    MANIFEST: MIB,
    RECORD: 512 * KIB,
    HISTORY: 4 * MIB,
    CONFIG: 64 * KIB,
    PREDICTIONS: 32 * MIB,
    "pictures": 4 * MIB,
}
"""Bytes of one file, unpacked."""

RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+=.-]{0,178}[A-Za-z0-9_])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_FILE = re.compile(r"(?P<run>[^/]+)/(?P<file>record\.json|history\.json|config\.yaml|predictions\.parquet)")
_PICTURE = re.compile(r"(?P<run>[^/]+)/(?P<folder>pictures)/[a-z0-9][a-z0-9_-]{0,40}\.png")

_Line = Annotated[str, StringConstraints(max_length=200)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SuiteName(_Strict):
    """A suite that an archive claims to belong to, by its name and version."""

    name: _Name
    version: int = Field(ge=1)


class About(_Strict):
    """What the submitter states; all of it is shown as text only, and submitter, link and notes are not verified.

    ``third_party``: the package of each method that is not the project's own.
    """

    submitter: _Line = ""
    link: Annotated[str, StringConstraints(pattern=r"^(https://[!-~]{1,190})?$")] = ""
    notes: Annotated[str, StringConstraints(max_length=2000)] = ""
    suite: SuiteName | None = None
    third_party: dict[_Line, Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]] = {}


class ArchiveManifest(_Strict):
    """``manifest.json`` holds the SHA-256 of every other file by its name, and what the submitter states."""

    format: int
    toolkit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+-]{1,40}$")]
    about: About = About()
    files: dict[str, _Sha256]


def is_run_id(text: str) -> bool:
    """Return whether ``text`` can name a folder on every file system."""
    return bool(RUN_ID.fullmatch(text)) and not _RESERVED.fullmatch(text)


def split_name(name: str) -> tuple[str, str] | None:
    """Return run id and file (``pictures`` for any picture) of a name in an archive; None where it is not allowed."""
    match = _FILE.fullmatch(name) or _PICTURE.fullmatch(name)
    if not match or not is_run_id(match["run"]):
        return None
    return match["run"], match.groupdict().get("file") or "pictures"


def size_limit(name: str) -> int:
    """Return the largest number of bytes that a file of an allowed name may have."""
    found = split_name(name)
    return MAX_SIZE[found[1] if found else MANIFEST]
