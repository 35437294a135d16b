"""One private Slurm a session, skipped with the reason where none can be started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from private_slurm import private_slurm, why_not


@pytest.fixture(scope="session")
def started_slurm() -> Iterator[dict[str, str]]:
    """Its variables."""
    if reason := why_not():
        pytest.skip(reason)
    with private_slurm() as variables:
        yield variables


@pytest.fixture
def slurm(started_slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this test reach the private Slurm, and the queue is asked often."""
    from sfda_kit_slurm import watch

    for name, value in started_slurm.items():
        monkeypatch.setenv(name, value)
    for name in ("LOOK_S", "ASK_S", "LATE_S"):
        monkeypatch.setattr(watch, name, 0.5)
