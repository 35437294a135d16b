"""What others may see of a text: the one place that removes folders of this disk, which may name a person."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

ABSOLUTE_PATH = re.compile(
    r"(?:file:/{2,3}|(?<![\w.:/\\~-]))(?:~|[A-Za-z]:)?[\\/]+(?:[^\s\\/\"'<>|:*?,;]+[\\/]+)+[^\s\\/\"'<>|:*?,;)]*"
)
"""A path from the root, a drive, a server or a home folder, at least two parts long."""


def last_name(path: str) -> str:
    """Return the last part of a path of any operating system."""
    return PurePosixPath(PureWindowsPath(path).as_posix()).name


def without_folders(value: Any) -> Any:
    """Return ``value`` (JSON data) with every absolute path in its texts cut to its last part."""
    if isinstance(value, str):
        return ABSOLUTE_PATH.sub(lambda found: last_name(found[0]), value)
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(item) for item in value]
    return value
