"""Ray writes its sessions into a folder of the test's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfda_kit.testing.jobs import wait_for


@pytest.fixture(autouse=True)
def own_sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Below /tmp, because the paths of Ray's sockets may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield

    def is_gone() -> bool:  # a process of Ray that is about to end may still write
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_for(is_gone, "the end of Ray's last process", at_most_s=30)
