"""Ray writes its sessions into a folder of the test's own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfda_kit.testing.jobs import wait_for

FOLDERS: list[Path] = []


def remove_all() -> bool:
    """Whether no folder is left."""
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
    return not any(folder.exists() for folder in FOLDERS)


atexit.register(remove_all)  # registered before Ray's own, so it runs after: they make folders of sessions again


@pytest.fixture(autouse=True)
def own_sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Below /tmp, because the paths of Ray's sockets may have 107 bytes."""
    FOLDERS.append(Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp")))
    monkeypatch.setenv("RAY_TMPDIR", str(FOLDERS[-1]))
    yield
    wait_for(remove_all, "the end of Ray's last process, which may still write", at_most_s=30)
