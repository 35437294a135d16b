"""A Ray cluster of two nodes on this computer: one is killed in the middle of a suite."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sfda_kit import Executor, Job, build_part
from sfda_kit.testing.jobs import (
    AGES,
    ended_once,
    events,
    in_background,
    run_folders,
    small_job,
    wait_for_epochs,
    wait_until_unlocked,
)

PROC = Path("/proc")
NOTICE_SOON = {"health_check_period_ms": 1000, "health_check_timeout_ms": 3000, "health_check_failure_threshold": 3}
"""A lost node is known as lost after some seconds instead of half a minute."""

pytestmark = [
    pytest.mark.slow,
    *[
        pytest.mark.xdist_group("ray"),
        pytest.mark.skipif(not PROC.is_dir(), reason="looks processes up in /proc, which this system has not"),
    ],
]


@pytest.fixture
def cluster(sfda_cache: Path) -> Iterator[Any]:
    """A head without processors for cells: they run on the nodes a test adds."""
    from sfda_kit_ray import quiet  # noqa: F401 (before Ray)
    from ray.cluster_utils import Cluster  # isort: skip

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICE_SOON}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_a_lost_node_costs_no_cell(cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    moved, *others = jobs = [small_job(tmp_path, seed, epochs) for seed, epochs in enumerate((100, 2, 2))]
    outcomes = executor(address=cluster.address).run(jobs)
    first = next(outcomes)
    assert first.key in {job.key for job in others}
    wait_for_epochs(moved)
    (victim,) = (node for node in nodes if holds(node, moved))
    cut_power(victim)
    ended = [first, *outcomes]
    assert sorted(outcome.key for outcome in ended) == [job.key for job in jobs]
    assert [outcome.error for outcome in ended] == [""] * len(jobs)
    assert all(ended_once(job) for job in jobs)
    assert {job.name: len(events(job, "run")) for job in jobs} == {job.name: 1 + (job is moved) for job in jobs}
    assert "raylet" not in capfd.readouterr().out, "Ray talks where results are printed"


def test_without_retries_a_lost_worker_is_the_reason(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    job = small_job(tmp_path, epochs=AGES)

    ended = in_background(executor(address=cluster.address, max_retries=0).run([job]))
    wait_for_epochs(job)
    os.kill(parent(cells_below(node)[0]), signal.SIGKILL)
    (outcome,) = ended.result(60)
    assert "Ray gave it up after its retries" in outcome.error
    assert not outcome.timed_out
    wait_until_unlocked(job)


def executor(**options: Any) -> Executor:
    found: Executor = build_part("executor", "ray", options)
    return found


def cut_power(node: Any) -> None:
    """Kill the node's daemon and its workers; their cells are not touched and must end by themselves."""
    daemon = raylet(node)
    for pid in [daemon, *(pid for pid in processes() if parent(pid) == daemon)]:
        os.kill(pid, signal.SIGKILL)


def holds(node: Any, job: Job) -> bool:
    """Whether a cell of the node has the lock of the job's run open."""
    (folder,) = run_folders(job)
    return any(folder / ".lock" in open_files(pid) for pid in cells_below(node))


def cells_below(node: Any) -> list[int]:
    """Cells whose parent, a worker, is a child of the node's daemon."""
    return [
        pid for pid in processes() if b"sfda_kit.bench.cell" in command(pid) and parent(parent(pid)) == raylet(node)
    ]


def raylet(node: Any) -> int:
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def processes() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def parent(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def open_files(pid: int) -> list[Path]:
    try:
        return [path.readlink() for path in (PROC / str(pid) / "fd").iterdir()]
    except OSError:
        return []
