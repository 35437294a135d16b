"""A cell whose run another process works on waits for it and takes over what it left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sfda_kit.bench import cell
from sfda_kit.results.store import RunFolder
from sfda_kit.testing.jobs import ended_once, events, run_folders, small_job, wait_for

pytestmark = pytest.mark.slow


def test_a_locked_run_is_waited_for_and_found_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cell, "LOOK_AGAIN_S", 0.01)
    job = small_job(tmp_path)
    cell.execute(job)
    (folder,) = run_folders(job)
    said = ""

    def waits() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "This cell waits for it." in said

    waiting = threading.Thread(target=cell.execute, args=[job], daemon=True)
    with RunFolder(folder).locked():
        waiting.start()
        wait_for(waits, "the message")
        assert str(folder) in said
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()
    assert (capfd.readouterr().err + said).count("waits") == 1, "the message is repeated at every look"
    assert ended_once(job)
    assert len(events(job, "run")) == 1, "a finished run was computed again"
