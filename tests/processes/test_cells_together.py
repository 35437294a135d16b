"""A cell of a suite in several processes: they work together, and end together."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sfda_kit import UserError, run_job
from sfda_kit.bench.local import Local
from sfda_kit.bench.process import Process
from sfda_kit.interfaces.executor import Outcome
from sfda_kit.testing.jobs import AGES, small_job, wait_for, wait_for_epochs

from ..conftest import cells_at_work


def test_each_process_of_a_cell_gets_a_gpu_of_its_own() -> None:
    executor = Local(gpus="0,1,2,3", processes=2)
    assert executor.count == 2
    assert [executor._slots.get() for _ in range(2)] == [
        {"CUDA_VISIBLE_DEVICES": "0,1"},
        {"CUDA_VISIBLE_DEVICES": "2,3"},
    ]
    with pytest.raises(UserError, match="processes=2 and 3 gpus"):
        Local(gpus="0,1,2", processes=2)
    with pytest.raises(UserError, match="processes=0"):
        Local(processes=0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_the_processes_of_a_cell_end_with_the_first(tmp_path: Path) -> None:
    job, started, outcomes = small_job(tmp_path, epochs=AGES), list[Process](), list[Outcome]()
    running = threading.Thread(target=lambda: outcomes.append(run_job(job, 1, started.append, processes=2)))
    running.start()
    try:
        wait_for_epochs(job)
        assert len(cells_at_work()) == 2
    finally:
        started[0].kill()
        running.join()
    wait_for(lambda: not cells_at_work(), "the end of all processes")
    assert outcomes[0].error
